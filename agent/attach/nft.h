// nftables, in nft's own words.

#ifndef SALLYPORT_AGENT_ATTACH_NFT_H_
#define SALLYPORT_AGENT_ATTACH_NFT_H_

#include <string>

#include "absl/status/status.h"

namespace sallyport::agent {

// Runs `commands` in the calling thread's network namespace as one transaction: all of it or
// nothing. After a deletion the kernel has whoever lets go of a netfilter socket of that namespace
// wait for an RCU grace period, tens of milliseconds; the caller does not wait for that.
// Thread-safe.
absl::Status RunNft(const std::string& commands);

}  // namespace sallyport::agent

#endif  // SALLYPORT_AGENT_ATTACH_NFT_H_
