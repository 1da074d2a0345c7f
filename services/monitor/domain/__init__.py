"""The decisions of the monitor in plain values: buckets of losses, detectors over them, the policy
of retrains.
"""
