#include "cli/handler_lines.h"

#include <algorithm>
#include <vector>

#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "common/base/strings.h"

namespace sallyport::cli {
namespace {

std::string TimeText(uint64_t microseconds) {
  if (microseconds < 1000) return StrCat(microseconds, " us");
  if (microseconds < 10'000) return absl::StrFormat("%.1f ms", microseconds / 1e3);
  if (microseconds < 1'000'000) return StrCat(microseconds / 1000, " ms");
  return absl::StrFormat("%.1f s", microseconds / 1e6);
}

std::string StatsText(const v1::UsageResponse::Endpoint& stats) {
  const uint64_t failing = stats.failures_in_a_row();
  std::string text = failing == 0 ? "up" : StrCat("failing, ", failing, " in a row");
  const std::string health =
      stats.health().empty() ? "" : StrCat("health: ", stats.health(), "   ");
  if (stats.calls() == 0) return health + "not called yet";
  text = health + text;
  text += StrCat("   ", stats.in_flight(), " in flight, ", stats.calls(), " calls");
  if (stats.failures() > 0) {
    const double calls = static_cast<double>(std::max<uint64_t>(stats.calls(), 1));
    text +=
        absl::StrFormat(", %.1f %% failed", 100.0 * static_cast<double>(stats.failures()) / calls);
  }
  if (stats.ejections() > 0) text += StrCat(", left out ", stats.ejections(), " times");
  if (stats.latency_p50_us() > 0 || stats.latency_p99_us() > 0) {
    text += StrCat(", p50 ", TimeText(stats.latency_p50_us()), ", p99 ",
                   TimeText(stats.latency_p99_us()));
  }
  return text;
}

}  // namespace

std::string WhatItIs(const v1::Handler& handler) {
  if (!handler.has_builtin() && handler.endpoints().empty()) return "live";
  if (!handler.has_builtin()) return absl::StrJoin(handler.endpoints(), ", ");
  std::vector<const google::protobuf::FieldDescriptor*> fields;
  handler.builtin().GetReflection()->ListFields(handler.builtin(), &fields);
  return "builtin: " + absl::StrJoin(fields, ", ", [](std::string* out, const auto* field) {
           out->append(field->name());
         });
}

std::string HandlerLine(const v1::Handler& handler) {
  std::string line = StrCat(handler.name(), "   ", WhatItIs(handler));
  if (handler.holds_secrets()) line += "   holds secrets";
  if (handler.on_failure() == v1::Handler::ON_FAILURE_EGRESS) line += "   fails open";
  if (handler.retries() > 0) line += StrCat("   ", handler.retries(), " retries");
  if (handler.max_concurrency() > 0)
    line += StrCat("   at most ", handler.max_concurrency(), " calls a container");
  if (handler.has_health_check()) {
    const std::string& service = handler.health_check().service();
    line += StrCat("   health check", service.empty() ? "" : " of ", service);
  }
  if (handler.tls().client_certificate()) line += "   mutual TLS";
  if (handler.has_identity_token()) {
    const std::string& audience = handler.identity_token().audience();
    line += StrCat("   identity token for ", audience.empty() ? handler.name() : audience);
  }
  if (handler.lease_epoch() > 0) line += StrCat("   lease epoch ", handler.lease_epoch());
  return line + "\n";
}

std::string EndpointLines(const v1::Handler& handler, const v1::UsageResponse* usage) {
  std::string lines;
  const auto add = [&](const std::string& endpoint, std::string_view life) {
    if (usage == nullptr && life.empty()) return;
    lines += StrCat("  ", endpoint, life.empty() ? "" : "   ", life);
    if (usage != nullptr) {
      const auto stats = std::ranges::find_if(usage->endpoints(), [&](const auto& one) {
        return one.handler() == handler.name() && one.endpoint() == endpoint;
      });
      lines +=
          StrCat("   ", stats == usage->endpoints().end() ? "not called yet" : StatsText(*stats));
    }
    lines += "\n";
  };
  for (const std::string& endpoint : handler.endpoints()) add(endpoint, "");
  for (const v1::LiveEndpoint& live : handler.live_endpoints())
    add(live.endpoint(), live.draining() ? "live, draining" : "live");
  return lines;
}

}  // namespace sallyport::cli
