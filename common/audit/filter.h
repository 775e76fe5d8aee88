// Which audit records somebody wants to see.

#ifndef SALLYPORT_COMMON_AUDIT_FILTER_H_
#define SALLYPORT_COMMON_AUDIT_FILTER_H_

#include "proto/sallyport/v1/audit_stream.pb.h"

namespace sallyport {

bool Wants(const v1::AuditFilter& filter, const v1::AuditRecord& record);

}  // namespace sallyport

#endif  // SALLYPORT_COMMON_AUDIT_FILTER_H_
