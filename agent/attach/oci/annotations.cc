#include "agent/attach/oci/annotations.h"

#include <google/protobuf/util/json_util.h>

#include <string_view>

#include "common/base/strings.h"

namespace sallyport::agent {
namespace {

constexpr std::string_view kPrefix = "sallyport.";
constexpr std::string_view kClass = "sallyport.class";
constexpr std::string_view kId = "sallyport.id";
constexpr std::string_view kNetwork = "sallyport.network";
constexpr std::string_view kTrust = "sallyport.trust";
constexpr std::string_view kParams = "sallyport.params";

absl::Status Wrong(std::string_view name, std::string_view what) {
  return absl::InvalidArgumentError(StrCat("annotation ", Quote(name), ": ", what));
}

absl::Status Read(std::string_view name, const std::string& value, AttachAnnotations* read) {
  if (name == kClass) {
    read->class_name = value;
  } else if (name == kId) {
    if (value.empty()) return Wrong(name, "is empty; leave it out to have the runtime's id");
    read->container_id = value;
    read->made_up_id = false;
  } else if (name == kNetwork) {
    if (value != "routed")
      return Wrong(name, "must be \"routed\", or be left out for no network of its own");
    read->routed = true;
  } else if (name == kTrust) {
    if (value != "none") return Wrong(name, "must be \"none\", or be left out");
    read->trust = false;
  } else if (name == kParams) {
    const auto parsed = google::protobuf::util::JsonStringToMessage(value, &read->params);
    if (!parsed.ok())
      return Wrong(name, StrCat("is not a JSON object, as {\"tenant\": \"acme\"}: ",
                                std::string(parsed.message())));
  } else {
    return Wrong(name,
                 "is unknown; there are sallyport.class, sallyport.id, sallyport.params, "
                 "sallyport.network and sallyport.trust");
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<AttachAnnotations> ReadAnnotations(const Annotations& annotations,
                                                  const std::string& runtime_id) {
  AttachAnnotations read;
  read.container_id = runtime_id;
  read.made_up_id = true;
  for (const auto& [name, value] : annotations) {
    if (name.rfind(kPrefix, 0) != 0) continue;
    if (absl::Status status = Read(name, value, &read); !status.ok()) return status;
  }
  if (read.class_name.empty()) {
    return Wrong(kClass, "is missing or empty; name the container's class");
  }
  return read;
}

}  // namespace sallyport::agent
