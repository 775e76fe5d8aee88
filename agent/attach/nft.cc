#include "agent/attach/nft.h"

#include <fcntl.h>
#include <linux/netlink.h>
#include <nftables/libnftables.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <thread>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "common/base/mutex.h"
#include "common/base/status.h"
#include "common/base/unique_fd.h"

namespace sallyport::agent {
namespace {

// libnftables waits with select(2), and ends the program if its socket is not among the first
// FD_SETSIZE descriptors. An agent with two hundred containers has more. So it gets a table of
// descriptors of its own, with nothing in it.
absl::Status LeaveDescriptors() {
  if (unshare(CLONE_FILES) == 0 && close_range(STDERR_FILENO + 1, ~0U, 0) == 0)
    return absl::OkStatus();
  return absl::ErrnoToStatus(errno, "no table of descriptors of its own for libnftables");
}

// Of what is open a second descriptor, which is closed when this thread has ended and nobody waits
// for it any more.
void KeepSocketsOpen() {
  constexpr int kBeyond = STDERR_FILENO + 16;
  for (int fd = STDERR_FILENO + 1; fd < kBeyond; ++fd) (void)fcntl(fd, F_DUPFD_CLOEXEC, kBeyond);
}

// libnftables ends the program when it gets no socket; better to fail before.
absl::Status CheckSocketIsToBeHad() {
  const UniqueFd socket(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER));
  if (!socket.valid()) return absl::ErrnoToStatus(errno, "no nfnetlink socket can be made");
  KeepSocketsOpen();
  return absl::OkStatus();
}

absl::Status RunHere(const std::string& commands) {
  RETURN_IF_ERROR(LeaveDescriptors());
  RETURN_IF_ERROR(CheckSocketIsToBeHad());
  // libnftables keeps tables of names that all its contexts share.
  static Mutex library;
  MutexLock lock(&library);
  const std::unique_ptr<nft_ctx, void (*)(nft_ctx*)> context(nft_ctx_new(NFT_CTX_DEFAULT),
                                                             nft_ctx_free);
  if (context == nullptr || nft_ctx_buffer_error(context.get()) != 0 ||
      nft_ctx_buffer_output(context.get()) != 0) {
    return absl::InternalError("libnftables cannot be set up");
  }
  const int failed = nft_run_cmd_from_buffer(context.get(), commands.c_str());
  KeepSocketsOpen();
  if (failed == 0) return absl::OkStatus();
  return absl::InternalError(absl::StrCat(
      "the kernel refused the nftables rules (are nft_tproxy, nft_redir and nft_reject there?): ",
      absl::StripAsciiWhitespace(nft_ctx_get_error_buffer(context.get()))));
}

}  // namespace

absl::Status RunNft(const std::string& commands) {
  absl::Status result;
  // In this thread's network namespace, as every thread that it starts.
  std::thread apart([&] { result = RunHere(commands); });
  apart.join();
  return result;
}

}  // namespace sallyport::agent
