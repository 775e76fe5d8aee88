#include "agent/kept_names.h"

#include <spawn.h>
#include <sys/wait.h>

#include <cerrno>
#include <set>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace sallyport::agent {
namespace {

// What becomes of a program that is given these names, as errno says; 0: it runs.
int ExecutedWith(const std::vector<std::string>& names) {
  std::string variable = absl::StrCat("LISTEN_FDNAMES=", absl::StrJoin(names, ":"));
  char program[] = "/bin/true";
  char* const argv[] = {program, nullptr};
  char* const environment[] = {variable.data(), nullptr};
  pid_t pid = 0;
  const int error = posix_spawn(&pid, program, nullptr, nullptr, argv, environment);
  if (error == 0) waitpid(pid, nullptr, 0);
  return error;
}

std::vector<std::string> TakeAll(KeptNames* names) {
  std::vector<std::string> taken;
  for (size_t i = 0; i < kMaxKeptContainers; ++i) taken.push_back(names->Take().value());
  return taken;
}

TEST(KeptNamesTest, SoManyContainersAreHandedOver) {
  KeptNames names;
  std::vector<std::string> taken = TakeAll(&names);
  EXPECT_EQ(std::set(taken.begin(), taken.end()).size(), kMaxKeptContainers);
  // As many proxies as there can be, by their longest names.
  for (int i = 0; i < 20; ++i) taken.emplace_back("proxy-ffffffffffffffff");
  EXPECT_EQ(ExecutedWith(taken), 0);
  taken.resize(taken.size() + 200, taken.front());
  EXPECT_EQ(ExecutedWith(taken), E2BIG);
}

TEST(KeptNamesTest, NoMoreAreTaken) {
  KeptNames names;
  const std::vector<std::string> taken = TakeAll(&names);
  const absl::Status refused = names.Take().status();
  EXPECT_EQ(refused.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(refused.message()), testing::HasSubstr("26000 containers"));
  names.GiveBack(taken.front());
  EXPECT_TRUE(names.Take().ok());
  EXPECT_FALSE(names.Take().ok());
}

TEST(KeptNamesTest, WhatAnAgentBeforeHasTakenIsNotTakenAgain) {
  KeptNames before, names;
  std::set<std::string> taken;
  for (int i = 0; i < 3; ++i) {
    const std::string name = before.Take().value();
    names.NoteTaken(name);
    taken.insert(name);
  }
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(taken.insert(names.Take().value()).second);
}

TEST(KeptNamesTest, OneThatWasGivenBackIsNotTheNextOne) {
  KeptNames names;
  const std::string first = names.Take().value();
  names.GiveBack(first);
  EXPECT_NE(names.Take().value(), first);
}

}  // namespace
}  // namespace sallyport::agent
