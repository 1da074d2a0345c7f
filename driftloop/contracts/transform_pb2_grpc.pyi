from collections.abc import Iterator

import grpc

from driftloop.contracts import transform_pb2

class FeatureStoreStub:
    def __init__(self, channel: grpc.Channel) -> None: ...
    Transform: grpc.UnaryUnaryMultiCallable[transform_pb2.TransformRequest, transform_pb2.TransformReply]
    Lookup: grpc.UnaryUnaryMultiCallable[transform_pb2.LookupRequest, transform_pb2.LookupReply]

class FeatureStoreServicer:
    def Transform(self, request: transform_pb2.TransformRequest, context: grpc.ServicerContext) -> transform_pb2.TransformReply: ...
    def Lookup(self, request: transform_pb2.LookupRequest, context: grpc.ServicerContext) -> transform_pb2.LookupReply: ...

def add_FeatureStoreServicer_to_server(servicer: FeatureStoreServicer, server: grpc.Server) -> None: ...
