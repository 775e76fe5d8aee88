#include "agent/proxy/dns/answer_query.h"

namespace sallyport::proxy {

std::variant<DnsReply, AskUpstream> AnswerAtOnce(const DnsServerOptions& options,
                                                 const DnsQuery& query) {
  if (!options.dns->budget.AdmitQuery(std::chrono::steady_clock::now())) {
    options.dns->on_exceeded(DnsLimit::kQueries);
    return DnsReply{BuildDnsReply(query, DnsRcode::kRefused), "overloaded"};
  }
  const std::shared_ptr<const EffectivePolicy> policy = options.policy();
  return DnsReplyWithoutUpstream(query, policy.get(), options.dns->names);
}

Task<DnsReply> AnswerByAsking(const DnsServerOptions* options, DnsQuery query) {
  const absl::StatusOr<UpstreamAnswer> upstream =
      co_await options->resolver->Query(*query.host, query.type);
  const std::shared_ptr<const EffectivePolicy> policy = options->policy();
  co_return DnsReplyFromUpstream(query, policy.get(), *options->open_ranges, options->dns->names,
                                 upstream);
}

void Report(const DnsServerOptions& options, const DnsQuery& query, const DnsReply& reply) {
  if (!reply.refused.empty() && options.on_refused) {
    options.on_refused(query.host.has_value() ? std::string_view(query.host->text()) : "",
                       reply.refused);
  }
  if (!reply.would_deny.empty() && options.on_monitored) {
    options.on_monitored(query.host->text(), reply.would_deny);
  }
}

std::string AnswerMalformed(const DnsServerOptions& options, const BadDnsQuery& bad) {
  if (options.on_refused) options.on_refused("", "malformed");
  const bool within_budget = options.dns->budget.AdmitQuery(std::chrono::steady_clock::now());
  if (!within_budget) options.dns->on_exceeded(DnsLimit::kQueries);
  return within_budget ? bad.reply : "";
}

}  // namespace sallyport::proxy
