// What the doctor found out about one thing.

#ifndef SALLYPORT_CLI_DOCTOR_FINDING_H_
#define SALLYPORT_CLI_DOCTOR_FINDING_H_

#include <string>

namespace sallyport::cli {

struct Finding {
  std::string subject;  // "kernel", "curl".
  bool good = false;
  std::string detail;  // What was seen.
  std::string advice;  // What to do; empty if it is good.
};

}  // namespace sallyport::cli

#endif  // SALLYPORT_CLI_DOCTOR_FINDING_H_
