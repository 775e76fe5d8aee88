// Input: a file of cases. Whatever it holds, it is read or refused with a place, and what was read
// can be played.

#include <cstddef>
#include <cstdint>
#include <string>

#include "common/base/check.h"
#include "common/cases/case_reader.h"
#include "common/cases/play.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using sallyport::cases::Case;
  sallyport::cases::CaseReader reader("f", std::string(reinterpret_cast<const char*>(data), size));
  while (true) {
    const absl::StatusOr<std::optional<Case>> next = reader.Next();
    if (!next.ok()) {
      SALLYPORT_CHECK(next.status().message().substr(0, 2) == "f:");
      return 0;
    }
    if (!next->has_value()) return 0;
    const sallyport::cases::Played played = sallyport::cases::Play(**next);
    SALLYPORT_CHECK(!played.outcome.outcome.empty());
  }
}
