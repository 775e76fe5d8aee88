#include "agent/proxy/tls/asn1_time.h"

namespace sallyport::proxy {

std::optional<time_t> ToTime(const ASN1_TIME* time) {
  bssl::UniquePtr<ASN1_TIME> epoch(ASN1_TIME_set(nullptr, 0));
  int days = 0, seconds = 0;
  if (epoch == nullptr || !ASN1_TIME_diff(&days, &seconds, epoch.get(), time)) return std::nullopt;
  return time_t{days} * 24 * 60 * 60 + seconds;
}

}  // namespace sallyport::proxy
