#include "cli/watch_event.h"

#include <utility>

#include "absl/strings/str_join.h"
#include "cli/output.h"
#include "common/base/strings.h"

namespace sallyport::cli {
namespace {

std::string Lists(bool has_allowed, int allowed, bool has_denied, int denied) {
  return StrCat(has_allowed ? StrCat(", ", allowed, " allowed") : "",
                has_denied ? StrCat(", ", denied, " denied") : "");
}

std::string Summary(const v1::ContainerClass& value) {
  return StrCat("class ", value.name(), "   internet ",
                !value.has_enable_internet() || value.enable_internet() ? "on" : "off",
                value.intercept_https() ? ", intercepts HTTPS" : "",
                value.monitor() ? ", monitor" : "",
                Lists(value.has_allowed_hosts(), value.allowed_hosts().hosts_size(),
                      value.has_denied_hosts(), value.denied_hosts().hosts_size()),
                ", ", value.outbound_by_host_size(), " rules");
}

std::string Summary(const v1::ContainerPolicy& value) {
  return StrCat("container ", value.container_id(), "   class ", value.class_name(), ", ",
                value.outbound_by_host_size() + value.intercepts_size(), " rules",
                value.has_allowed_hosts() ? ", allowed hosts of its own" : "",
                value.has_denied_hosts() ? ", denied hosts of its own" : "");
}

std::string ServicesOf(const v1::Handler& handler) {
  std::string text = absl::StrJoin(handler.endpoints(), ", ");
  for (const v1::LiveEndpoint& live : handler.live_endpoints()) {
    text += StrCat(text.empty() ? "" : ", ", live.endpoint(),
                   live.draining() ? " (live, draining)" : " (live)");
  }
  return text.empty() ? "no service is there" : text;
}

std::string Summary(const v1::Resource& resource) {
  switch (resource.value_case()) {
    case v1::Resource::kClass:
      return Summary(resource.class_());
    case v1::Resource::kContainer:
      return Summary(resource.container());
    case v1::Resource::kHandler:
      return StrCat("handler ", resource.handler().name(), "   ",
                    resource.handler().has_builtin() ? std::string("built in")
                                                     : ServicesOf(resource.handler()));
    case v1::Resource::kSecret:  // Nobody is told.
    case v1::Resource::VALUE_NOT_SET:
      break;
  }
  return "something of a kind that this version does not know";
}

std::string Summary(const v1::WatchResponse::Enforced& enforced) {
  std::string line = StrCat("host ", enforced.host(), "   enforces revision ", enforced.revision(),
                            enforced.connected() ? "" : ", is not connected");
  for (const v1::Ack::Rejected& rejected : enforced.rejected())
    line += StrCat("; refuses ", Describe(rejected.key()), ": ", rejected.reason());
  return line;
}

}  // namespace

std::string WatchFormatter::Line(const v1::WatchResponse& event) {
  switch (event.event_case()) {
    case v1::WatchResponse::kUpdated:
      return StrCat(Summary(event.updated()), "   revision ", event.updated().revision());
    case v1::WatchResponse::kRemoved:
      return StrCat(Describe(event.removed()), "   deleted");
    case v1::WatchResponse::kPlaced:
      return StrCat("container ", event.placed().container_id(), "   ",
                    event.placed().host().empty() ? "attached nowhere"
                                                  : StrCat("on ", event.placed().host()));
    case v1::WatchResponse::kEnforced:
      return Summary(event.enforced());
    case v1::WatchResponse::kInSync:
      if (std::exchange(began_, true)) return "";
      return StrCat("as of revision ", event.in_sync(), "; changes follow");
    case v1::WatchResponse::EVENT_NOT_SET:
      break;
  }
  return "";
}

}  // namespace sallyport::cli
