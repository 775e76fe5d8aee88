#include "common/audit/filter.h"

namespace sallyport {

bool Wants(const v1::AuditFilter& filter, const v1::AuditRecord& record) {
  if (!filter.container_id().empty() && record.container_id() != filter.container_id())
    return false;
  if (!filter.class_name().empty() && record.class_name() != filter.class_name()) return false;
  return !filter.denied() || record.decision() == "deny" || !record.would_deny().empty();
}

}  // namespace sallyport
