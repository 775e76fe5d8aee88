#include "agent/proxy/poller.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <array>
#include <functional>
#include <memory>
#include <vector>

#include "common/base/unique_fd.h"
#include "gtest/gtest.h"

namespace sallyport::proxy {
namespace {

class Told final : public Poller::Client {
 public:
  Told() : fd(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {}

  void NoteEvents(uint32_t events) override { readable |= (events & EPOLLIN) != 0; }
  void OnEvents(uint32_t events) override {
    if ((events & EPOLLIN) == 0) return;
    ++times;
    if (then) then();
  }
  void OnShutdown() override {}

  void MakeReadable() const { ASSERT_EQ(eventfd_write(fd.get(), 1), 0); }

  const UniqueFd fd;
  uint64_t id = 0;
  bool readable = false;
  int times = 0;
  std::function<void()> then;
};

TEST(PollerTest, AllKnowBeforeAnybodyActs) {
  std::array<Told, 3> clients;  // Outlive the context, which tells them of its end.
  boost::asio::io_context context;
  Poller& poller = boost::asio::use_service<Poller>(context);
  for (Told& client : clients) {
    ASSERT_NE(poller.Add(client.fd.get(), &client), 0u);
    client.then = [&] {
      for (const Told& other : clients) EXPECT_TRUE(other.readable);
    };
  }
  for (const Told& client : clients) client.MakeReadable();
  poller.BeginWait();
  while (clients[2].times == 0) context.run_one();
  EXPECT_EQ(clients[0].times, 1);
  poller.EndWait();
}

TEST(PollerTest, TellsThoseThatStayOfWhatComesAfterARush) {
  // So many that the table of clients has grown; few enough for the usual limit on descriptors.
  constexpr size_t kMany = 900 + 20;
  constexpr size_t kStay = 20;
  std::vector<std::unique_ptr<Told>> clients;  // Outlive the context, which tells them of its end.
  boost::asio::io_context context;
  Poller& poller = boost::asio::use_service<Poller>(context);
  for (size_t i = 0; i < kMany; ++i) {
    Told& client = *clients.emplace_back(std::make_unique<Told>());
    ASSERT_TRUE(client.fd.valid());
    client.id = poller.Add(client.fd.get(), &client);
    ASSERT_NE(client.id, 0u);
  }
  poller.BeginWait();
  // The first that is told ends most of the others, of which some were to be told in the same pass.
  clients[0]->then = [&] {
    for (size_t i = kStay; i < kMany; ++i) poller.Remove(clients[i]->id);
    clients[0]->then = nullptr;
  };
  for (const size_t i : {size_t{0}, size_t{1}, kStay, kMany - 1}) clients[i]->MakeReadable();
  while (clients[1]->times == 0) context.run_one();
  for (size_t i = 0; i < kStay; ++i) clients[i]->MakeReadable();
  while (clients[kStay - 1]->times == 0) context.run_one();
  EXPECT_EQ(clients[0]->times, 2);
  EXPECT_EQ(clients[1]->times, 2);
  for (size_t i = 2; i < kStay; ++i) EXPECT_EQ(clients[i]->times, 1);
  for (size_t i = kStay; i < kMany; ++i) EXPECT_EQ(clients[i]->times, 0);
  poller.EndWait();
}

}  // namespace
}  // namespace sallyport::proxy
