#include "agent/proxy/http/characters.h"

#include <gtest/gtest.h>

#include <string>

namespace sallyport::proxy {
namespace {

TEST(CharactersTest, TokenStopsAtTheFirstOtherByte) {
  EXPECT_EQ(TokenLength("Content-Length: 1"), 14u);
  EXPECT_EQ(TokenLength("!#$%&'*+-.^_`|~09azAZ"), 21u);
  EXPECT_EQ(TokenLength(""), 0u);
  for (const char c : std::string_view("\"(),/:;<=>?@[\\]{} \t\r\n\x7f\x80\xff\0", 25)) {
    EXPECT_FALSE(IsTokenCharacter(c)) << static_cast<int>(c);
  }
}

TEST(CharactersTest, TargetIsVisibleAsciiWithoutFragment) {
  EXPECT_EQ(TargetLength("/a?b=%00{}|\\^`~ x"), 15u);
  EXPECT_EQ(TargetLength("/a#b"), 2u);
  EXPECT_EQ(TargetLength("/\x80"), 1u);
}

// Every byte at every place in texts of several lengths: the fast path must agree with the rule.
TEST(CharactersTest, FieldTextEndsAtEveryControlByteWherever) {
  for (size_t size = 1; size <= 40; ++size) {
    for (size_t at = 0; at < size; ++at) {
      for (int c = 0; c < 256; ++c) {
        std::string text(size, at % 2 == 0 ? 'x' : ' ');
        text[at] = static_cast<char>(c);
        const bool allowed = c == '\t' || (c >= 0x20 && c != 0x7f);
        ASSERT_EQ(FieldTextLength(text), allowed ? size : at)
            << c << " at " << at << " of " << size;
      }
    }
  }
}

TEST(CharactersTest, FieldTextGoesOnAfterTabs) {
  EXPECT_EQ(FieldTextLength("\ta\tb\tc\td\te\tf\tg\th\ti\x01"), 18u);
}

TEST(CharactersTest, ListElementsAreTrimmed) {
  std::string_view list = " a ,,b\t,c";
  EXPECT_EQ(TakeListElement(&list), "a");
  EXPECT_EQ(TakeListElement(&list), "");
  EXPECT_EQ(TakeListElement(&list), "b");
  EXPECT_EQ(TakeListElement(&list), "c");
  EXPECT_TRUE(list.empty());
}

TEST(CharactersTest, ComparesWithoutCase) {
  EXPECT_TRUE(EqualsIgnoreCase("Host", "hOST"));
  EXPECT_FALSE(EqualsIgnoreCase("Host", "Hos"));
  EXPECT_FALSE(
      EqualsIgnoreCase("@", "`"));  // Differ in the bit that tells the cases of letters apart.
  EXPECT_TRUE(StartsWithIgnoreCase("HTTPS://x", "https"));
}

}  // namespace
}  // namespace sallyport::proxy
