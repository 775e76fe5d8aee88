#include "agent/proxy/tls/record_gather.h"

#include <gtest/gtest.h>

#include <vector>

namespace sallyport::proxy {
namespace {

std::vector<std::string> Cut(const std::vector<std::string>& pieces) {
  const std::vector<std::string_view> views(pieces.begin(), pieces.end());
  RecordGather gather(views);
  std::vector<std::string> chunks;
  for (std::string_view next = gather.Next(); !next.empty(); next = gather.Next()) {
    chunks.emplace_back(next);
  }
  return chunks;
}

using Chunks = std::vector<std::string>;
const std::string kFull(kMaxRecordPlaintext, 'f');

TEST(RecordGatherTest, JoinsSmallPieces) {
  EXPECT_EQ(Cut({"a", "", "b", "c", ""}), Chunks({"abc"}));
}

TEST(RecordGatherTest, CutsLargePieces) {
  EXPECT_EQ(Cut({kFull + kFull + "x"}), Chunks({kFull, kFull, "x"}));
}

TEST(RecordGatherTest, FillsUpARecordFromALargePiece) {
  EXPECT_EQ(Cut({"head", kFull}), Chunks({"head" + kFull.substr(4), kFull.substr(0, 4)}));
}

TEST(RecordGatherTest, IsEmptyForNothing) {
  EXPECT_EQ(Cut({}), Chunks());
  EXPECT_EQ(Cut({"", ""}), Chunks());
}

TEST(RecordGatherTest, HandsLargePiecesOutWithoutACopy) {
  const std::string_view piece = kFull;
  RecordGather gather({&piece, 1});
  EXPECT_EQ(gather.Next().data(), piece.data());
}

}  // namespace
}  // namespace sallyport::proxy
