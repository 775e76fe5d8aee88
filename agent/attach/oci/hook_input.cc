#include "agent/attach/oci/hook_input.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "agent/attach/trust.h"
#include "common/base/status.h"
#include "common/base/strings.h"

namespace sallyport::agent {
namespace {

// Keeps the order of a configuration's fields.
using Json = nlohmann::ordered_json;

absl::Status Wrong(std::string_view what) {
  return absl::InvalidArgumentError(StrCat("what the container runtime says ", what));
}

absl::StatusOr<Json> Parse(std::string_view text) {
  Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return Wrong("is not a JSON object");
  return json;
}

// Null if there is no such field.
const Json* Find(const Json& object, const char* name) {
  if (!object.is_object()) return nullptr;
  const auto found = object.find(name);
  return found == object.end() ? nullptr : &*found;
}

absl::StatusOr<std::string> Text(const Json& object, const char* name) {
  const Json* const field = Find(object, name);
  if (field == nullptr || !field->is_string()) return Wrong(StrCat("lacks ", Quote(name)));
  return field->get<std::string>();
}

absl::StatusOr<bool> HasUserNamespace(const Json& config) {
  const Json* const platform = Find(config, "linux");
  const Json* const namespaces = platform == nullptr ? nullptr : Find(*platform, "namespaces");
  if (namespaces == nullptr || !namespaces->is_array()) return Wrong("lacks the namespaces");
  return std::ranges::any_of(*namespaces, [](const Json& entry) {
    const Json* const type = Find(entry, "type");
    return type != nullptr && *type == "user";
  });
}

absl::StatusOr<Annotations> AnnotationsOf(const Json& json) {
  Annotations annotations;
  const Json* const field = Find(json, "annotations");
  if (field == nullptr || field->is_null()) return annotations;
  if (!field->is_object()) return Wrong("has annotations that are no object");
  for (const auto& [name, value] : field->items()) {
    if (!value.is_string()) return Wrong(StrCat("has an annotation without text, ", Quote(name)));
    annotations[name] = value.get<std::string>();
  }
  return annotations;
}

absl::Status ReadState(const Json& json, HookInput* input) {
  ASSIGN_OR_RETURN(input->id, Text(json, "id"));
  ASSIGN_OR_RETURN(input->bundle, Text(json, "bundle"));
  ASSIGN_OR_RETURN(const std::string status, Text(json, "status"));
  if (status == "stopped") {
    input->stage = HookStage::kPoststop;
    return absl::OkStatus();
  }
  // What runs already has sent what it liked.
  if (status != "creating" && status != "created") {
    return Wrong(StrCat("is that the container is ", Quote(status),
                        "; this hook is for the stages createRuntime and poststop"));
  }
  const Json* const pid = Find(json, "pid");
  if (pid == nullptr || !pid->is_number_integer() || pid->get<int64_t>() <= 0 ||
      pid->get<int64_t>() > INT32_MAX) {
    return Wrong("lacks the pid of a container that is being created");
  }
  input->pid = pid->get<pid_t>();
  input->stage = HookStage::kCreateRuntime;
  return absl::OkStatus();
}

bool IsSet(const Json& environment, std::string_view variable) {
  for (const Json& entry : environment) {
    if (!entry.is_string()) continue;
    const std::string& text = entry.get_ref<const std::string&>();
    if (text.size() > variable.size() && text[variable.size()] == '=' &&
        text.rfind(variable, 0) == 0)
      return true;
  }
  return false;
}

}  // namespace

absl::StatusOr<HookInput> ParseHookInput(std::string_view json_text) {
  ASSIGN_OR_RETURN(const Json json, Parse(json_text));
  HookInput input;
  ASSIGN_OR_RETURN(input.annotations, AnnotationsOf(json));
  if (Find(json, "status") != nullptr) {
    RETURN_IF_ERROR(ReadState(json, &input));
    return input;
  }
  if (Find(json, "root") == nullptr) return Wrong("is neither a state nor a configuration");
  input.stage = HookStage::kPrecreate;
  return input;
}

absl::Status CheckNetworkIsFinal(std::string_view config_json) {
  ASSIGN_OR_RETURN(const Json json, Parse(config_json));
  ASSIGN_OR_RETURN(const bool has_user_namespace, HasUserNamespace(json));
  if (!has_user_namespace) return absl::OkStatus();
  return absl::FailedPreconditionError(
      "podman may give a container with a user namespace a network after it is attached, and so "
      "another way out; leave out --userns, --uidmap and --gidmap");
}

absl::Status CheckMayBeRouted(std::string_view config_json) {
  ASSIGN_OR_RETURN(const Json json, Parse(config_json));
  const Json* const process = Find(json, "process");
  const Json* const sets = process == nullptr ? nullptr : Find(*process, "capabilities");
  if (sets == nullptr) return absl::OkStatus();  // It has none.
  ASSIGN_OR_RETURN(const bool has_user_namespace, HasUserNamespace(json));
  if (has_user_namespace) return absl::OkStatus();  // They are none on the host.
  if (!sets->is_object()) return Wrong("has capabilities that are no object");
  for (const Json& set : *sets) {
    if (!set.is_array()) return Wrong("has a set of capabilities that is no list");
    if (std::ranges::find(set, Json("CAP_NET_ADMIN")) == set.end()) continue;
    return absl::FailedPreconditionError(
        "with CAP_NET_ADMIN root inside reaches the host's own interfaces by way of its bridge; "
        "leave out --cap-add NET_ADMIN (or --privileged), or use --network none");
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> RootPathOf(std::string_view config_json, const std::string& bundle) {
  ASSIGN_OR_RETURN(const Json json, Parse(config_json));
  const Json* const root = Find(json, "root");
  if (root == nullptr) return Wrong("lacks the root file system");
  ASSIGN_OR_RETURN(std::string path, Text(*root, "path"));
  if (path.empty()) return Wrong("names no root file system");
  return path.front() == '/' ? path : StrCat(bundle, "/", path);
}

absl::StatusOr<std::string> AddTrustVariables(std::string_view config_json) {
  ASSIGN_OR_RETURN(Json json, Parse(config_json));
  if (Find(json, "process") == nullptr || !json["process"].is_object())
    return Wrong("has no process");
  Json& environment = json["process"]["env"];
  if (environment.is_null()) environment = Json::array();
  if (!environment.is_array()) return Wrong("has an environment that is no list");
  for (const std::string_view variable : kTrustVariables) {
    if (IsSet(environment, variable)) continue;
    environment.push_back(StrCat(variable, "=", kTrustDirectory, "/", kBundleFileName));
  }
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace sallyport::agent
