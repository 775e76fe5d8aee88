#include "cli/output.h"

#include <google/protobuf/util/json_util.h>

#include <cstdio>

#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "common/base/strings.h"

namespace sallyport::cli {
namespace {

std::string Milliseconds(const google::protobuf::Duration& duration) {
  const double milliseconds =
      static_cast<double>(duration.seconds()) * 1e3 + duration.nanos() / 1e6;
  return absl::StrFormat("%.1f ms", milliseconds);
}

}  // namespace

std::string ToJson(const google::protobuf::Message& message) {
  google::protobuf::util::JsonPrintOptions options;
  options.always_print_primitive_fields = true;
  std::string json;
  // Fails only for Any values of unknown types, which our messages do not have.
  (void)google::protobuf::util::MessageToJsonString(message, &json, options);
  return json;
}

void PrintJson(const google::protobuf::Message& message) {
  std::printf("%s\n", ToJson(message).c_str());
}

std::string Describe(const v1::MutationResult& result) {
  const std::string revision = StrCat("revision ", result.revision(), ", ");
  const std::string enforced = absl::StrJoin(result.enforced_hosts(), ", ");
  const std::string pending = absl::StrJoin(result.pending_hosts(), ", ");
  switch (result.enforcement()) {
    case v1::MutationResult::ENFORCED:
      return StrCat(revision, "enforced on ", enforced, " in ", Milliseconds(result.waited()));
    case v1::MutationResult::PENDING:
      return StrCat(revision, "stored, not yet enforced", pending.empty() ? "" : " on ", pending);
    case v1::MutationResult::REJECTED:
      return StrCat(revision, "stored, but refused: ", absl::StrJoin(result.rejections(), "; "));
    default:
      return StrCat(revision, "stored; attached nowhere");
  }
}

std::string Describe(const v1::HostList* list) {
  if (list == nullptr) return "-";
  return list->hosts().empty() ? "nothing" : absl::StrJoin(list->hosts(), ", ");
}

std::string Describe(const v1::ResourceKey& key) {
  switch (key.kind()) {
    case v1::RESOURCE_KIND_CLASS:
      return StrCat("class ", key.name());
    case v1::RESOURCE_KIND_CONTAINER:
      return StrCat("container ", key.name());
    case v1::RESOURCE_KIND_HANDLER:
      return StrCat("handler ", key.name());
    case v1::RESOURCE_KIND_SECRET:
      return StrCat("secret ", key.name());
    default:
      return key.name();
  }
}

std::string Describe(const v1::HandlerReference& reference) {
  if (reference.params().fields().empty()) return reference.handler();
  std::string json;
  (void)google::protobuf::util::MessageToJsonString(reference.params(), &json);
  return StrCat(reference.handler(), " ", json);
}

absl::StatusOr<google::protobuf::Struct> ParseParams(const std::string& json) {
  google::protobuf::Struct params;
  if (json.empty()) return params;
  const auto status = google::protobuf::util::JsonStringToMessage(json, &params);
  if (!status.ok()) {
    return absl::InvalidArgumentError(
        ToAbsl(StrCat("--params is not a JSON object: ", std::string(status.message()),
                      "; write for example '{\"scope\": \"repo:read\"}'")));
  }
  return params;
}

}  // namespace sallyport::cli
