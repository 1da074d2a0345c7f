from collections.abc import Iterator

import grpc

from driftloop.contracts import training_pb2

class TrainingStub:
    def __init__(self, channel: grpc.Channel) -> None: ...
    Train: grpc.UnaryUnaryMultiCallable[training_pb2.TrainRequest, training_pb2.TrainReply]
    Cancel: grpc.UnaryUnaryMultiCallable[training_pb2.CancelRequest, training_pb2.CancelReply]
    Rebuild: grpc.UnaryUnaryMultiCallable[training_pb2.RebuildRequest, training_pb2.RebuildReply]
    Windows: grpc.UnaryUnaryMultiCallable[training_pb2.WindowsRequest, training_pb2.WindowsReply]

class TrainingServicer:
    def Train(self, request: training_pb2.TrainRequest, context: grpc.ServicerContext) -> training_pb2.TrainReply: ...
    def Cancel(self, request: training_pb2.CancelRequest, context: grpc.ServicerContext) -> training_pb2.CancelReply: ...
    def Rebuild(self, request: training_pb2.RebuildRequest, context: grpc.ServicerContext) -> training_pb2.RebuildReply: ...
    def Windows(self, request: training_pb2.WindowsRequest, context: grpc.ServicerContext) -> training_pb2.WindowsReply: ...

def add_TrainingServicer_to_server(servicer: TrainingServicer, server: grpc.Server) -> None: ...
