// An audit record as the line of JSON that a host's file has.

#ifndef SALLYPORT_COMMON_AUDIT_JSON_LINE_H_
#define SALLYPORT_COMMON_AUDIT_JSON_LINE_H_

#include <string>

#include "proto/sallyport/v1/audit.pb.h"

namespace sallyport {

// Without the end of line. Numbers are numbers, where Protobuf's own JSON makes strings of those of
// 64 bits; empty, zero and false fields are left out.
std::string ToJsonLine(const v1::AuditRecord& record);

}  // namespace sallyport

#endif  // SALLYPORT_COMMON_AUDIT_JSON_LINE_H_
