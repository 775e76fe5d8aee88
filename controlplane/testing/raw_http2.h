// A client that writes HTTP/2 frames by hand, for what no library would send.

#ifndef SALLYPORT_CONTROLPLANE_TESTING_RAW_HTTP2_H_
#define SALLYPORT_CONTROLPLANE_TESTING_RAW_HTTP2_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "common/base/mutex.h"
#include "common/base/unique_fd.h"

namespace sallyport {

// Methods are for one thread, the test's. Waits give up after ten seconds.
class RawHttp2 {
 public:
  enum Type : uint8_t {
    kHeaders = 1,
    kResetStream = 3,
    kSettings = 4,
    kPing = 6,
    kGoAway = 7,
  };
  struct Frame {
    uint8_t type = 0;
    std::string payload;
  };

  // Connects, and sends the preface and empty settings.
  explicit RawHttp2(const std::string& socket_path);
  ~RawHttp2();

  // What a peer that has gone does not take is dropped.
  void Send(Type type, uint8_t flags, uint32_t stream, std::string_view payload);
  // The head of a gRPC call.
  void OpenStream(uint32_t stream, std::string_view path);

  // The first frame of the type that came.
  std::optional<Frame> Await(Type type);
  // Whether the peer closed the connection.
  bool AwaitEnd();

  // Four bytes, the first the most significant.
  static uint32_t Number(std::string_view bytes, size_t offset);

 private:
  void Read();
  void Write(std::string_view bytes);
  bool ReadWhole(char* bytes, size_t count);

  UniqueFd socket_;
  Mutex mutex_;
  CondVar arrived_;
  std::vector<Frame> frames_ ABSL_GUARDED_BY(mutex_);
  bool ended_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread reader_;
};

}  // namespace sallyport

#endif  // SALLYPORT_CONTROLPLANE_TESTING_RAW_HTTP2_H_
