// What Explain answered, as people read it.

#ifndef SALLYPORT_CLI_EXPLANATION_H_
#define SALLYPORT_CLI_EXPLANATION_H_

#include <string>

#include "proto/sallyport/v1/admin.pb.h"

namespace sallyport::cli {

// What becomes of the request and why, then a table of all steps. `request` is what was asked, as
// "GET https://github.com/x". Ends with a newline.
std::string Format(const std::string& request, const v1::ExplainResponse& response);

}  // namespace sallyport::cli

#endif  // SALLYPORT_CLI_EXPLANATION_H_
