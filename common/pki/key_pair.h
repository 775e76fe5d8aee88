// A certificate and its key in two files, for a peer that is none of our programs.

#ifndef SALLYPORT_COMMON_PKI_KEY_PAIR_H_
#define SALLYPORT_COMMON_PKI_KEY_PAIR_H_

#include <string>

#include "absl/status/statusor.h"

namespace sallyport::pki {

// PEM, as in the files. A value.
struct KeyPair {
  std::string certificate_chain;  // Our own first.
  std::string private_key;
};

// FAILED_PRECONDITION with a sentence that names the file and says what to do: one that is missing,
// a key that every user may read, a pair that does not belong together. Who signed it, and what
// for, is between us and the peer.
absl::StatusOr<KeyPair> ReadKeyPair(const std::string& certificate_file,
                                    const std::string& key_file);

}  // namespace sallyport::pki

#endif  // SALLYPORT_COMMON_PKI_KEY_PAIR_H_
