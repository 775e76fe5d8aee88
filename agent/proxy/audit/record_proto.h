// One decision as a message, for who follows records from afar.

#ifndef SALLYPORT_AGENT_PROXY_AUDIT_RECORD_PROTO_H_
#define SALLYPORT_AGENT_PROXY_AUDIT_RECORD_PROTO_H_

#include "agent/proxy/audit/record.h"
#include "proto/sallyport/v1/audit.pb.h"

namespace sallyport::proxy {

// The same fields as AppendJsonLine's, bytes that are not UTF-8 replaced in the same way.
void FillRecord(const AuditRecord& record, v1::AuditRecord* message);

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_AUDIT_RECORD_PROTO_H_
