#include "agent/proxy/handlers/not_processed.h"

#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"

namespace sallyport::proxy {
namespace {

constexpr char kMark[] = "sallyport/not-processed";

}  // namespace

absl::Status NotProcessedError(std::string_view reason) {
  absl::Status status =
      absl::UnavailableError(absl::StrCat(absl::string_view(reason.data(), reason.size()),
                                          " (the handler had not processed the call)"));
  status.SetPayload(kMark, absl::Cord());
  return status;
}

bool IsNotProcessed(const absl::Status& status) { return status.GetPayload(kMark).has_value(); }

}  // namespace sallyport::proxy
