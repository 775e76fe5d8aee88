// How much of something is in use.

#ifndef SALLYPORT_AGENT_PROXY_GAUGE_H_
#define SALLYPORT_AGENT_PROXY_GAUGE_H_

#include <atomic>
#include <cstdint>
#include <utility>

namespace sallyport::proxy {

// A number that its tokens make up. Thread-safe, without locks. Outlives its tokens.
class Gauge {
 public:
  // A part, held until the token ends.
  class [[nodiscard]] Token {
   public:
    Token() = default;
    Token(Token&& other) noexcept
        : gauge_(std::exchange(other.gauge_, nullptr)), amount_(other.amount_) {}
    Token& operator=(Token&& other) noexcept {
      Release();
      gauge_ = std::exchange(other.gauge_, nullptr);
      amount_ = other.amount_;
      return *this;
    }
    ~Token() { Release(); }

    // False: there was no room, or it was released.
    explicit operator bool() const { return gauge_ != nullptr; }
    void Release() {
      if (gauge_ != nullptr) gauge_->held_.fetch_sub(amount_, std::memory_order_relaxed);
      gauge_ = nullptr;
    }

   private:
    friend class Gauge;
    Token(Gauge* gauge, int64_t amount) : gauge_(gauge), amount_(amount) {}

    Gauge* gauge_ = nullptr;
    int64_t amount_ = 0;
  };

  // An empty token if more than `limit` would be held.
  Token Hold(int64_t amount, int64_t limit) {
    if (held_.fetch_add(amount, std::memory_order_relaxed) + amount <= limit)
      return Token(this, amount);
    held_.fetch_sub(amount, std::memory_order_relaxed);
    return Token();
  }
  int64_t held() const { return held_.load(std::memory_order_relaxed); }

 private:
  std::atomic<int64_t> held_{0};
};

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_GAUGE_H_
