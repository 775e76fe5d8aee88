#include "cli/command.h"

#include "absl/strings/numbers.h"
#include "common/base/strings.h"

namespace sallyport::cli {

void MutationFlags::AddTo(FlagSet* flags) {
  flags->String("expected-revision", &expected_revision, "N",
                "Change nothing if another revision than the one that you have read is stored by "
                "now; 0: if there is one at all.");
  flags->String("request-id", &request_id, "ID",
                "Makes it safe to repeat the command: with the same id it is carried out once.");
}

bool MutationFlags::ToOptions(v1::MutationOptions* options) const {
  if (!expected_revision.empty()) {
    uint64_t revision = 0;
    if (!absl::SimpleAtoi(expected_revision, &revision)) {
      WrongUsage("--expected-revision", StrCat("`", expected_revision, "` is no revision"));
      return false;
    }
    options->set_expected_revision(revision);
  }
  options->set_request_id(request_id);
  return true;
}

void WaitFlags::AddTo(FlagSet* flags) {
  flags->String("wait", &wait, "enforced|stored", "Until when to wait.");
  flags->Duration("timeout", &timeout, "DURATION",
                  "How long to wait until the change is enforced.");
}

bool WaitFlags::ToOptions(v1::MutationOptions* options) const {
  if (wait != "enforced" && wait != "stored") {
    WrongUsage("--wait", StrCat("`", wait, "` is neither enforced nor stored"));
    return false;
  }
  options->set_wait(wait == "stored" ? v1::WAIT_STORED : v1::WAIT_ENFORCED);
  options->mutable_timeout()->set_seconds(timeout.count() / 1000);
  options->mutable_timeout()->set_nanos(static_cast<int32_t>(timeout.count() % 1000) * 1'000'000);
  return true;
}

int WrongUsage(const std::string& command, const std::string& message) {
  std::fprintf(stderr, "sallyport %s: %s; see `sallyport %s --help`\n", command.c_str(),
               message.c_str(), command.c_str());
  return kUsage;
}

}  // namespace sallyport::cli
