// Input: a policy file. Whatever it holds, it is read or refused with a place for each problem, and
// what was read is written so that it reads back as the same.

#include <google/protobuf/util/message_differencer.h>

#include <cstddef>
#include <cstdint>
#include <string>

#include "cli/policy/policy_file.h"
#include "cli/policy/write.h"
#include "cli/yaml/print.h"
#include "common/base/check.h"
#include "common/policy/effective_policy.h"

namespace {

using namespace sallyport;       // NOLINT(build/namespaces)
using namespace sallyport::cli;  // NOLINT(build/namespaces)

template <typename T>
std::vector<T> Values(const std::vector<Written<T>>& written, absl::Status (*normalise)(T*)) {
  std::vector<T> values;
  for (const Written<T>& one : written) {
    values.push_back(one.value);
    SALLYPORT_CHECK(normalise(&values.back()).ok());
  }
  return values;
}

template <typename T>
void CheckSame(const std::vector<T>& values, const std::vector<Written<T>>& again) {
  SALLYPORT_CHECK(values.size() == again.size());
  for (size_t i = 0; i < values.size(); ++i) {
    SALLYPORT_CHECK(google::protobuf::util::MessageDifferencer::Equals(values[i], again[i].value));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  const absl::StatusOr<PolicyFile> file = ParsePolicyFile(text, "f");
  if (!file.ok()) {
    SALLYPORT_CHECK(file.status().message().substr(0, 2) == "f:");
    return 0;
  }
  const auto handlers = Values(file->handlers, NormaliseHandler);
  const auto classes = Values(file->classes, NormaliseClass);
  const auto containers = Values(file->containers, NormaliseContainer);
  const yaml::Node tree = PolicyToYaml(handlers, classes, containers);
  if (tree.children.empty()) return 0;
  const absl::StatusOr<PolicyFile> again = ParsePolicyFile(yaml::Print(tree), "again");
  SALLYPORT_CHECK(again.ok());
  CheckSame(handlers, again->handlers);
  CheckSame(classes, again->classes);
  CheckSame(containers, again->containers);
  return 0;
}
