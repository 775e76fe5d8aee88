"""C++ from .proto files, by Debian's protoc and gRPC plugin."""

def sallyport_proto_library(name, srcs, deps = [], grpc = False, visibility = None, grpc_visibility = None):
    """Declares NAME_cc_proto (messages) and, with grpc, NAME_grpc (services).

    Files import each other from the repository's root, `import "proto/sallyport/v1/policy.proto";`,
    and so does C++: `#include "proto/sallyport/v1/policy.pb.h"` (or `.grpc.pb.h`). The messages do
    not link gRPC: the proxy must not, and sees NAME_cc_proto only.

    Args:
      name: one noun, by convention the file's name without .proto.
      srcs: the .proto files, of this package.
      deps: other sallyport_proto_library targets whose files these import.
      grpc: whether the files declare services.
      visibility: who may use the messages.
      grpc_visibility: who may use the services; //third_party:grpc limits it further.
    """
    imported = [_sibling(dep, "_protos") for dep in deps]
    native.filegroup(
        name = name + "_protos",
        srcs = srcs + imported,
        visibility = ["//visibility:public"],
    )

    _generate(name + "_cc_proto_gen", srcs, imported, ".pb", "--cpp_out=$(GENDIR)")
    native.cc_library(
        name = name + "_cc_proto",
        srcs = [_stem(src) + ".pb.cc" for src in srcs],
        hdrs = [_stem(src) + ".pb.h" for src in srcs],
        copts = ["-w"],
        visibility = visibility,
        deps = [_sibling(dep, "_cc_proto") for dep in deps] + ["//third_party:protobuf"],
    )

    if grpc:
        _generate(
            name + "_grpc_gen",
            srcs,
            imported,
            ".grpc.pb",
            "--plugin=protoc-gen-grpc=$$(command -v grpc_cpp_plugin) --grpc_out=$(GENDIR)",
        )
        native.cc_library(
            name = name + "_grpc",
            srcs = [_stem(src) + ".grpc.pb.cc" for src in srcs],
            hdrs = [_stem(src) + ".grpc.pb.h" for src in srcs],
            copts = ["-w"],
            visibility = grpc_visibility or visibility,
            deps = [
                ":" + name + "_cc_proto",
                "//third_party:grpc",
            ],
        )

def _generate(name, srcs, imported, suffix, protoc_flags):
    native.genrule(
        name = name,
        srcs = srcs + imported,
        outs = [_stem(src) + suffix + end for src in srcs for end in [".h", ".cc"]],
        cmd = "protoc --proto_path=. {flags} {files}".format(
            flags = protoc_flags,
            files = " ".join(["$(location %s)" % src for src in srcs]),
        ),
        visibility = ["//visibility:private"],
    )

def _stem(src):
    if not src.endswith(".proto"):
        fail("sallyport_proto_library: '%s' is not a .proto file" % src)
    return src[:-len(".proto")]

def _sibling(label, suffix):
    if ":" not in label:
        fail("sallyport_proto_library: write the dep '%s' in full, as //package:name" % label)
    return label + suffix
