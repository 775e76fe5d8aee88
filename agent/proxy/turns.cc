#include "agent/proxy/turns.h"

#include <boost/asio/post.hpp>

namespace sallyport::proxy {
namespace {

constexpr int kShareOfPass = 16;

int CostOf(Turn turn) { return static_cast<int>(turn); }

}  // namespace

std::shared_ptr<TurnShare> TurnShare::Create(Passes* passes) {
  return std::shared_ptr<TurnShare>(new TurnShare(passes));
}

bool TurnShare::TryTake(Turn turn) {
  if (!waiters_.empty() || !HasRoom(turn)) return false;
  Use(turn);
  return true;
}

bool TurnShare::HasRoom(Turn turn) const {
  return used_ == 0 || used_ + CostOf(turn) <= kShareOfPass;
}

void TurnShare::Use(Turn turn) {
  used_ += CostOf(turn);
  passes_->Count(shared_from_this());
}

void TurnShare::Park(Turn turn, Resumption resume) {
  waiters_.push_back(Waiter{turn, std::move(resume)});
  passes_->Count(shared_from_this());
}

void TurnShare::BeginPass() {
  counted_ = false;
  used_ = 0;
  while (!waiters_.empty() && HasRoom(waiters_.front().turn)) {
    Waiter next = std::move(waiters_.front());
    waiters_.pop_front();
    Use(next.turn);
    std::move(next.resume)();
  }
  if (!waiters_.empty()) passes_->Count(shared_from_this());
}

TurnShare::Passes::~Passes() {
  // They hold their share, which holds them.
  for (const std::shared_ptr<TurnShare>& share : counted_) share->waiters_.clear();
}

void TurnShare::Passes::Count(std::shared_ptr<TurnShare> share) {
  if (share->counted_) return;
  share->counted_ = true;
  counted_.push_back(std::move(share));
  if (begun_) return;
  begun_ = true;
  // Comes behind everything that is ready now, and the loop looks for more before it: that is the
  // pass.
  boost::asio::post(context_, [this] { Next(); });
}

void TurnShare::Passes::Next() {
  begun_ = false;
  std::vector<std::shared_ptr<TurnShare>> counted;
  counted.swap(counted_);
  for (const std::shared_ptr<TurnShare>& share : counted) share->BeginPass();
}

}  // namespace sallyport::proxy
