// One attached container as one worker sees it.

#ifndef SALLYPORT_AGENT_PROXY_CONTAINER_H_
#define SALLYPORT_AGENT_PROXY_CONTAINER_H_

#include <boost/asio/io_context.hpp>
#include <list>
#include <memory>
#include <string>

#include "absl/container/flat_hash_set.h"
#include "absl/functional/function_ref.h"
#include "agent/proxy/audit/sink.h"
#include "agent/proxy/audit/tap.h"
#include "agent/proxy/budget.h"
#include "agent/proxy/builtin/rates.h"
#include "agent/proxy/builtin/secret_table.h"
#include "agent/proxy/dial.h"
#include "agent/proxy/dns/container_resolver.h"
#include "agent/proxy/dns/server.h"
#include "agent/proxy/handlers/lease_table.h"
#include "agent/proxy/handlers/pool.h"
#include "agent/proxy/identity/token_cache.h"
#include "agent/proxy/origins.h"
#include "agent/proxy/proxy_credential.h"
#include "agent/proxy/tls/leaf.h"
#include "agent/proxy/tls/upstream.h"
#include "agent/proxy/turns.h"
#include "common/policy/snapshot.h"

namespace sallyport::proxy {

class Worker;

// A connection that policy may have to end: a relay, or any connection when its container is
// detached.
class ClosableConnection {
 public:
  virtual ~ClosableConnection() = default;
  // The new policy holds now (null: none). Closes itself at once if it would no longer be
  // permitted.
  virtual void OnPolicyChange(const EffectivePolicy* policy) = 0;
  virtual void CloseNow() = 0;
  // The proxy accepts nothing any more. What can come to a good end by itself does so.
  virtual void OnDrain() {}
};

// Identity is this object: it is made with the listeners inside the container's network namespace,
// and every connection accepted from them holds it. (From an explicit proxy's listener, those that
// show its credential.) Pools, sessions with origins and handler links
// are its own, leaves, sessions with clients and handlers' leases its container's on all workers,
// so nothing is shared between containers. Belongs to one worker.
class Container {
 public:
  struct Parts {
    std::string id;
    std::shared_ptr<LeafAuthority> leaves;  // All workers' of this container.
    std::unique_ptr<UpstreamTls> upstream_tls;
    std::shared_ptr<ContainerDns> dns;
    std::shared_ptr<ContainerBudget> budget;                  // Shared by the container's workers.
    std::shared_ptr<LeaseTable> leases;                       // Likewise.
    std::shared_ptr<BuiltinRates> builtin_rates;              // Likewise.
    std::shared_ptr<AuditSink> audit_file;                    // May be null.
    std::shared_ptr<AuditTap> audit_tap;                      // May be null.
    std::shared_ptr<AuditSink> audit_stream;                  // May be null.
    std::shared_ptr<const ProxyCredential> proxy_credential;  // Null: no explicit proxy.
    std::shared_ptr<const google::protobuf::Struct> params;   // May be null.
  };
  Container(Worker* worker, Parts parts);

  const std::string& id() const { return parts_.id; }
  Worker& worker() const { return *worker_; }
  LeafAuthority& leaves() { return *parts_.leaves; }
  UpstreamTls& upstream_tls() { return *parts_.upstream_tls; }
  const DnsNames& dns_names() const { return parts_.dns->names; }
  ContainerBudget& budget() { return *parts_.budget; }
  const ContainerLimits& limits() const { return parts_.budget->limits(); }
  const std::shared_ptr<TurnShare>& turns() const { return turns_; }
  Origins& origins() { return origins_; }
  HandlerPool& handlers() { return handlers_; }
  LeaseTable& leases() { return *parts_.leases; }
  // What clients of its explicit proxy show. Null: it has a network of its own, where whoever
  // connects is the container.
  const ProxyCredential* proxy_credential() const { return parts_.proxy_credential.get(); }
  // What its handlers get beside the rule's; null: nothing.
  const google::protobuf::Struct* params() const { return parts_.params.get(); }
  // What a call of the handler bears; empty: it is registered without one. FAILED_PRECONDITION: the
  // agent has given no key.
  absl::StatusOr<std::string> IdentityToken(const std::shared_ptr<const HandlerSpec>& handler,
                                            const std::string& class_name);

  // The policy in force at this moment; null: none, and nothing is permitted.
  std::shared_ptr<const EffectivePolicy> policy() const;
  // The same as a function, for what runs longer than a moment.
  PolicySource policy_source();
  // The registered handler of that name, or null.
  std::shared_ptr<const HandlerSpec> handler(const std::string& name) const;
  BuiltinRates& builtin_rates() { return *parts_.builtin_rates; }
  // Of this moment.
  const SecretTable& secrets() const;
  DialContext dial_context() const;
  // How its DNS is answered, over UDP and TCP.
  static DnsServerOptions DnsOptions(const std::shared_ptr<Container>& container);
  // How many of its connections speak DNS now; kept by whoever serves them.
  size_t& dns_streams() { return dns_streams_; }

  // Of refusals only so many a second are written; the next record says how many were not.
  void Audit(const AuditRecord& record);
  std::string NewRequestId();

  // A connection is registered before it is checked, so that no change of policy slips between.
  class Registration;
  void OnPolicyChange();
  void OnIdentityChange() { handlers_.OnCertificateChange(); }
  // What its connections have begun goes on; what they would begin is for the proxy that follows.
  void Drain();
  bool draining() const { return draining_; }
  // Ends every connection; nothing new is permitted.
  void Shutdown();
  bool closed() const { return closed_; }
  size_t connection_count() const { return connections_.size(); }

 private:
  void WriteRecord(const AuditRecord& record);

  Worker* const worker_;
  Parts parts_;
  const std::shared_ptr<TurnShare> turns_;
  const std::unique_ptr<ContainerResolver> resolver_;
  Origins origins_;
  HandlerPool handlers_;
  TokenCache tokens_;
  std::list<ClosableConnection*> connections_;
  bool closed_ = false;
  bool draining_ = false;
  size_t dns_streams_ = 0;
  uint64_t next_request_ = 0;
  const uint64_t request_prefix_;
  std::string audit_line_;
};

using ContainerPtr = std::shared_ptr<Container>;

// Keeps a connection in its container's list.
class Container::Registration {
 public:
  Registration(ContainerPtr container, ClosableConnection* connection);
  ~Registration();
  Registration(const Registration&) = delete;
  Registration& operator=(const Registration&) = delete;

 private:
  const ContainerPtr container_;
  const std::list<ClosableConnection*>::iterator position_;
};

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_CONTAINER_H_
