// Two lines: a built-in handler as a text proto, and a request's target. Whatever they are: no
// crash, and what is forwarded is of one reading, and of a path that is allowed.

#include <google/protobuf/io/tokenizer.h>
#include <google/protobuf/text_format.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "common/base/check.h"
#include "common/builtin/evaluate.h"
#include "common/builtin/safe_path.h"

namespace {

// Of text that is no message nothing is said.
class Silent final : public google::protobuf::io::ErrorCollector {
  void AddError(int, google::protobuf::io::ColumnNumber, const std::string&) override {}
};

bool HasDotSegment(std::string_view path) {
  for (size_t begin = 1; begin <= path.size();) {
    const size_t end = std::min(path.find('/', begin), path.size());
    const std::string_view segment = path.substr(begin, end - begin);
    if (segment == "." || segment == "..") return true;
    begin = end + 1;
  }
  return false;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace sallyport;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const size_t line = std::min(text.find('\n'), text.size());
  const std::string_view target = text.substr(std::min(line + 1, text.size()));

  v1::Builtin message;
  google::protobuf::TextFormat::Parser parser;
  Silent silent;
  parser.RecordErrorsTo(&silent);
  if (!parser.ParseFromString(std::string(text.substr(0, line)), &message)) return 0;
  const auto spec = BuiltinSpec::FromProto(message);
  if (!spec.ok()) return 0;
  const BuiltinRequest request{"GET", "http", "a.test", "a.test", target};
  (void)DescribeVerdict(*spec, request);
  const BuiltinVerdict verdict = EvaluateBuiltin(*spec, request);
  const auto* forward = std::get_if<BuiltinForward>(&verdict);
  if (forward == nullptr) return 0;

  std::string decoded;
  if (!spec->allow_paths.empty()) {
    SALLYPORT_CHECK(DecodePath(target, &decoded).empty());
    SALLYPORT_CHECK(decoded.starts_with('/') && !HasDotSegment(decoded));
    SALLYPORT_CHECK(decoded.find("//") == std::string::npos);
    SALLYPORT_CHECK(
        std::any_of(spec->allow_paths.begin(), spec->allow_paths.end(),
                    [&](const PathPattern& pattern) { return pattern.Matches(decoded); }));
  }
  if (!forward->target.empty()) {
    SALLYPORT_CHECK(DecodePath(forward->target, &decoded).empty());
    SALLYPORT_CHECK(
        forward->target.starts_with(spec->add_path_prefix.empty() ? "/" : spec->add_path_prefix));
  }
  return 0;
}
