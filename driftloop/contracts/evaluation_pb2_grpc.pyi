from collections.abc import Iterator

import grpc

from driftloop.contracts import evaluation_pb2

class EvaluationStub:
    def __init__(self, channel: grpc.Channel) -> None: ...
    Replay: grpc.UnaryUnaryMultiCallable[evaluation_pb2.ReplayRequest, evaluation_pb2.ReplayReply]
    Backtest: grpc.UnaryUnaryMultiCallable[evaluation_pb2.BacktestRequest, evaluation_pb2.BacktestReply]

class EvaluationServicer:
    def Replay(self, request: evaluation_pb2.ReplayRequest, context: grpc.ServicerContext) -> evaluation_pb2.ReplayReply: ...
    def Backtest(self, request: evaluation_pb2.BacktestRequest, context: grpc.ServicerContext) -> evaluation_pb2.BacktestReply: ...

def add_EvaluationServicer_to_server(servicer: EvaluationServicer, server: grpc.Server) -> None: ...
