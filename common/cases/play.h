// Plays a case by the decision engine alone: no sockets, no TLS, no control plane.

#ifndef SALLYPORT_COMMON_CASES_PLAY_H_
#define SALLYPORT_COMMON_CASES_PLAY_H_

#include <google/protobuf/struct.pb.h>

#include <optional>
#include <string>
#include <vector>

#include "common/cases/case.h"

namespace sallyport::cases {

// What the container would see. Names as in Expect.
struct Outcome {
  std::string outcome;
  int status = 0;
  std::string reason = {};
  std::string certificate = {};
  std::string handler = {};
  google::protobuf::Struct params = {};
  std::string code = {};
  std::optional<int> step = {};
};

struct Played {
  Outcome outcome;
  // One sentence for each expectation that is not met.
  std::vector<std::string> differences;
  // Of a case that fails: which step and rule decided, or why a class or a call was refused.
  std::string why;
};

// Names resolve to the address that the container dials, and handlers answer.
Played Play(const Case& c);

}  // namespace sallyport::cases

#endif  // SALLYPORT_COMMON_CASES_PLAY_H_
