"""Tests that run the real programs in network namespaces of their own. They need root."""

PROGRAMS = [
    "//agent:sallyport-agent",
    "//agent/proxy:sallyport-proxy",
    "//cli:sallyport",
    "//controlplane:sallyportd",
    "//tests/fakes:dns_server",
    "//tests/fakes:recording_handler",
]

def system_test(name, data = [], size = "large", alone = False, tsan = True):
    """A Python test NAME.py beside the BUILD file.

    Args:
      name: the file's name without its ending.
      data: more files that it reads.
      size: Bazel's test size.
      alone: nothing else runs meanwhile: it measures time or memory, or needs what a machine has once.
      tsan: its programs work under ThreadSanitizer.
    """
    native.sh_test(
        name = name,
        size = size,
        srcs = ["//tests:python_test.sh"],
        args = ["$(location %s.py)" % name],
        data = [name + ".py", "//tests:harness"] + PROGRAMS + data,
        # What passes depends on the machine as well: kernel, podman, nftables.
        tags = (["exclusive"] if alone else ["no-cache"]) + ([] if tsan else ["no-tsan"]),
    )
