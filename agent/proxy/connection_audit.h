// Audit records of what never became an HTTP request: refused or relayed connections, refused DNS
// queries.

#ifndef SALLYPORT_AGENT_PROXY_CONNECTION_AUDIT_H_
#define SALLYPORT_AGENT_PROXY_CONNECTION_AUDIT_H_

#include <string>
#include <string_view>

#include "agent/proxy/audit/record.h"
#include "agent/proxy/container.h"
#include "agent/proxy/origin.h"

namespace sallyport::proxy {

// A record with what is known of every connection: time, container, class, revision, and where it
// was dialled to.
AuditRecord ConnectionRecord(Container& container, const Origin& origin, std::string_view scheme);

void AuditRefusedQuery(Container& container, std::string_view name, std::string_view reason);
// A query that only monitor mode lets pass.
void AuditMonitoredQuery(Container& container, std::string_view name, std::string_view would_deny);

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_CONNECTION_AUDIT_H_
