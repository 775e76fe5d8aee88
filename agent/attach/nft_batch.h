// nftables rules in the kernel's own words, for where the same ones are wanted again and again.

#ifndef SALLYPORT_AGENT_ATTACH_NFT_BATCH_H_
#define SALLYPORT_AGENT_ATTACH_NFT_BATCH_H_

#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace sallyport::agent {

// Tables with chains and rules, without sets. libnftables takes a millisecond, one thread at a
// time, for what the kernel then does in a third of it, so the rules are made once, in a namespace
// for the purpose, and read back.
class NftBatch {
 public:
  // `commands`: see RunNft.
  static absl::StatusOr<NftBatch> Compile(const std::string& commands);

  // In the calling thread's network namespace, in the place of tables of these names, as one
  // transaction.
  absl::Status Run() const;

 private:
  NftBatch(std::string question, std::string making, std::string replacing)
      : question_(std::move(question)),
        making_(std::move(making)),
        replacing_(std::move(replacing)) {}

  // Whether there are such tables. Where they are, making_ would be refused, and that waits for an
  // RCU grace period, tens of milliseconds.
  std::string question_;
  // Beginning and end of the batch included. The first is for where there are no such tables: after
  // a deletion the kernel has whoever closes a netfilter socket wait until RCU lets go of what was
  // deleted, another grace period.
  std::string making_;
  std::string replacing_;
};

}  // namespace sallyport::agent

#endif  // SALLYPORT_AGENT_ATTACH_NFT_BATCH_H_
