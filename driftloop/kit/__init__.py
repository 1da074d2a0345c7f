"""How any service runs: the transactional loop, brokers, gRPC, config, logs, metrics. It knows
no topic and no domain.
"""
