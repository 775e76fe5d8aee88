// Events of Watch, as people read them.

#ifndef SALLYPORT_CLI_WATCH_EVENT_H_
#define SALLYPORT_CLI_WATCH_EVENT_H_

#include <string>

#include "proto/sallyport/v1/admin.pb.h"

namespace sallyport::cli {

// One line for each event, without its newline; empty for those that only machines need.
class WatchFormatter {
 public:
  std::string Line(const v1::WatchResponse& event);

 private:
  // The first `in_sync` ends what there was when the watch began.
  bool began_ = false;
};

}  // namespace sallyport::cli

#endif  // SALLYPORT_CLI_WATCH_EVENT_H_
