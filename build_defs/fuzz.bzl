"""Fuzz targets that are tests of their corpus in ordinary builds."""

def sallyport_fuzz_test(name, srcs, corpus = [], deps = [], **kwargs):
    """Declares a test from a source that defines LLVMFuzzerTestOneInput.

    `bazel test` runs it over its corpus, in every config. With --config=fuzz it is a libFuzzer
    program; tools/fuzz.py runs those.

    Args:
      name: ends in _fuzz_test.
      srcs: the source with LLVMFuzzerTestOneInput.
      corpus: files, as glob(["testdata/NAME/**"]).
      deps: what it links.
      **kwargs: as for cc_test.
    """
    if corpus:
        native.filegroup(
            name = name + "_corpus",
            srcs = corpus,
        )
    inputs = [":" + name + "_corpus"] if corpus else []
    native.cc_test(
        name = name,
        srcs = srcs,
        args = ["$(rootpaths %s)" % label for label in inputs],
        data = inputs,
        linkopts = select({
            "//build_defs:fuzzing": ["-fsanitize=fuzzer"],
            "//conditions:default": [],
        }),
        deps = deps + select({
            "//build_defs:fuzzing": [],
            "//conditions:default": ["//build_defs:replay_corpus"],
        }),
        tags = kwargs.pop("tags", []) + ["fuzz"],
        **kwargs
    )
