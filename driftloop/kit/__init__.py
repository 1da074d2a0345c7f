"""How any service runs: settings, logs, ports, loops, transactions, signals. Knows no topic, no
message, no domain."""

import os

# gRPC's core writes to stderr by itself, as text between lines of JSON, and looks at this when it
# is first imported. What it would say reaches us as the status of a call.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")
