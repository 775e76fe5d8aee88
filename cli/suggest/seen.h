// What the audit records of a class say that it needs.

#ifndef SALLYPORT_CLI_SUGGEST_SEEN_H_
#define SALLYPORT_CLI_SUGGEST_SEEN_H_

#include <cstdint>
#include <set>
#include <string>

#include "proto/sallyport/v1/audit.pb.h"

namespace sallyport::cli {

class SeenHosts {
 public:
  struct Options {
    std::string class_name;
    std::string container_id;  // Empty: every container of the class.
    // Also what was refused because no list and no `enable_internet` permitted it.
    bool with_denied = false;
  };

  explicit SeenHosts(Options options) : options_(std::move(options)) {}

  void Add(const v1::AuditRecord& record);

  // Hosts that the list has to cover; addresses where there was no name.
  const std::set<std::string>& hosts() const { return hosts_; }
  // Hosts that were only ever refused for want of a permission.
  std::set<std::string> only_denied() const;
  // Hosts that only ever fell under `denied_hosts`, monitored or not. An allow list does not change
  // that, so it leaves them out.
  std::set<std::string> only_under_denied_hosts() const;
  // Records of the class (and container).
  uint64_t records() const { return records_; }

 private:
  const Options options_;
  std::set<std::string> hosts_;
  std::set<std::string> denied_;
  std::set<std::string> under_denied_hosts_;
  uint64_t records_ = 0;
};

}  // namespace sallyport::cli

#endif  // SALLYPORT_CLI_SUGGEST_SEEN_H_
