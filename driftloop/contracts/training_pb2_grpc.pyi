from collections.abc import Iterator

import grpc

from driftloop.contracts import training_pb2

class TrainingStub:
    def __init__(self, channel: grpc.Channel) -> None: ...
    Train: grpc.UnaryUnaryMultiCallable[training_pb2.TrainRequest, training_pb2.TrainReply]
    Cancel: grpc.UnaryUnaryMultiCallable[training_pb2.CancelRequest, training_pb2.CancelReply]

class TrainingServicer:
    def Train(self, request: training_pb2.TrainRequest, context: grpc.ServicerContext) -> training_pb2.TrainReply: ...
    def Cancel(self, request: training_pb2.CancelRequest, context: grpc.ServicerContext) -> training_pb2.CancelReply: ...

def add_TrainingServicer_to_server(servicer: TrainingServicer, server: grpc.Server) -> None: ...
