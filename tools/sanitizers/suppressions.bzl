"""Sanitizer options and suppression files as functions that the sanitizers' runtimes call."""

def sanitizer_defaults(name, options, suppressions, srcs = [], deps = []):
    """Declares a library that gives the programs it is linked into their sanitizers' defaults.

    Args:
      name: the library.
      options: from a sanitizer's short name (asan) to its options, as in ASAN_OPTIONS.
      suppressions: from a sanitizer's short name to its suppression file.
      srcs: further sources.
      deps: what those need.
    """
    generated = name + "_defaults.cc"
    native.genrule(
        name = name + "_defaults",
        srcs = suppressions.values(),
        outs = [generated],
        cmd = "{\n" + "\n".join(
            [_options(*item) for item in options.items()] +
            [_suppressions(*item) for item in suppressions.items()],
        ) + "\n} > $@",
    )
    native.cc_library(
        name = name,
        srcs = srcs + [generated],
        # Without these the runtime's own empty functions are as good to the linker.
        alwayslink = True,
        copts = ["-Wno-missing-prototypes"],
        deps = deps,
    )

_FUNCTION = "extern \"C\" __attribute__((visibility(\"default\"))) const char* __%s_default_%s() { return"

def _options(sanitizer, value):
    return "echo '%s \"%s\"; }'" % (_FUNCTION % (sanitizer, "options"), value)

def _suppressions(sanitizer, file):
    # Comments and blank lines stay out; each other line becomes a string literal.
    return """echo '%s ""'
sed -e '/^#/d' -e '/^$$/d' -e 's/.*/"&\\\\n"/' $(location %s)
echo '; }'""" % (_FUNCTION % (sanitizer, "suppressions"), file)
