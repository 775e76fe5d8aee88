"""Fuzz targets that are tests of their corpus in ordinary builds."""

def _unpacked_impl(ctx):
    inputs = ctx.actions.declare_directory(ctx.label.name)
    ctx.actions.run_shell(
        inputs = [ctx.file.archive],
        outputs = [inputs],
        command = "tar -xzf \"$1\" -C \"$2\"",
        arguments = [ctx.file.archive.path, inputs.path],
        mnemonic = "UnpackCorpus",
    )
    return [DefaultInfo(files = depset([inputs]), runfiles = ctx.runfiles([inputs]))]

_unpacked = rule(
    implementation = _unpacked_impl,
    attrs = {"archive": attr.label(allow_single_file = [".tar.gz"], mandatory = True)},
)

def sallyport_fuzz_test(name, srcs, corpus = [], deps = [], **kwargs):
    """Declares a test from a source that defines LLVMFuzzerTestOneInput.

    `bazel test` runs it over its corpus, in every config: the files given here, and what fuzzing has
    found, which tools/fuzz.py keeps in testdata/NAME.tar.gz. With --config=fuzz it is a libFuzzer
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
    archive = "testdata/%s.tar.gz" % name
    if native.glob([archive]):
        _unpacked(
            name = name + "_found",
            testonly = True,
            archive = archive,
        )
        inputs.append(":" + name + "_found")
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
