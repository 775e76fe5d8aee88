#include "agent/proxy/http/chunked_decoder.h"

#include <gtest/gtest.h>

#include <string>

namespace sallyport::proxy {
namespace {

// The data, then "|" and what is left if the trailers were reached, "?" if more is needed, "!" if
// it is bad.
std::string Decode(std::string_view text, size_t segment) {
  ChunkedDecoder decoder(16);
  std::string out;
  while (true) {
    std::string_view bytes = text.substr(0, segment);
    text.remove_prefix(bytes.size());
    while (true) {
      std::string_view data;
      const ChunkedDecoder::Step step = decoder.Next(&bytes, &data);
      if (step == ChunkedDecoder::Step::kNeedMore) break;
      if (step == ChunkedDecoder::Step::kBad) return out + "!";
      if (step == ChunkedDecoder::Step::kTrailers) {
        return out + "|" + std::string(bytes) + std::string(text);
      }
      EXPECT_FALSE(data.empty());
      out += data;
    }
    if (text.empty()) return out + "?";
  }
}

struct ChunkCase {
  const char* name;
  std::string text;
  std::string result;
};

const ChunkCase kChunkCases[] = {
    {"Two", "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\nrest", "abcde|\r\nrest"},
    {"Upper", "A\r\n0123456789\r\n0\r\n", "0123456789|"},
    {"Lower", "a\r\n0123456789\r\n0\r\n", "0123456789|"},
    {"LeadingZeros", "0000000000000003\r\nabc\r\n0\r\n", "abc|"},
    {"ManyZeros", "000\r\n", "|"},
    {"Extension", "3;a=\"b c\"\r\nabc\r\n0;x\r\n", "abc|"},
    {"DataHoldsAnything", "4\r\n\r\n\r\n\r\n0\r\n", "\r\n\r\n|"},
    {"Unfinished", "5\r\nabc", "abc?"},
    {"H111_Hex", "0x5\r\n", "!"},
    {"H111_Plus", "+5\r\n", "!"},
    {"H111_Minus", "-0\r\n", "!"},
    {"H111_Underscore", "5_\r\n", "!"},
    {"H111_SpaceBefore", " 5\r\n", "!"},
    {"H111_SpaceAfter", "5 \r\n", "!"},
    {"H111_SpaceBeforeExtension", "5 ;a\r\n", "!"},
    {"H111_Tab", "5\t\r\n", "!"},
    {"H111_Letter", "Z\r\n", "!"},
    {"H111_Empty", "\r\n", "!"},
    {"H111_EmptyExtension", ";a\r\n", "!"},
    {"H111_ManyDigits", "00000000000000000000005\r\nabcde\r\n", "!"},
    {"H111_Largest", "FFFFFFFFFFFFFFFF\r\n", "!"},
    {"H111_TwoTo63", "8000000000000000\r\n", "!"},
    {"H111_BelowTwoTo63", "7FFFFFFFFFFFFFFF\r\nab", "ab?"},
    {"H113_DataTooLong", "3\r\nabcXX0\r\n", "abc!"},
    {"H113_LfAfterData", "3\r\nabc\n0\r\n", "abc!"},
    {"H113_CrWithoutLf", "3\r\nabc\rX0\r\n", "abc!"},
    {"H114_ExtensionsTogetherTooLong", "1;0123456\r\na\r\n1;0123456789\r\nb\r\n", "a!"},
    {"H114_ExtensionTooLong", "1;0123456789abcdefg\r\na\r\n", "!"},
    {"H114_OpenStringInExtension", "1;a=\"b\r\na\r\n", "!"},
    {"H114_EscapedQuoteInExtension", "1;a=\"b\\\"\r\na\r\n", "!"},
    {"QuotedExtension", "1;a=\"b\\\\\"\r\na\r\n0\r\n", "a|"},
    {"H114_ControlInExtension", "1;\x01\r\na\r\n", "!"},
    {"H116_LfAfterSize", "3\nabc\r\n", "!"},
    {"H116_LfAfterExtension", "3;a\nabc\r\n", "!"},
    {"H116_CrInExtension", "3;a\rb\r\nabc\r\n", "!"},
};

class ChunkedDecoderTest : public testing::TestWithParam<ChunkCase> {};
INSTANTIATE_TEST_SUITE_P(, ChunkedDecoderTest, testing::ValuesIn(kChunkCases),
                         [](const auto& param) { return param.param.name; });

TEST_P(ChunkedDecoderTest, WholeAndByteByByte) {
  EXPECT_EQ(Decode(GetParam().text, std::string::npos), GetParam().result);
  EXPECT_EQ(Decode(GetParam().text, 1), GetParam().result);
  EXPECT_EQ(Decode(GetParam().text, 3), GetParam().result);
}

}  // namespace
}  // namespace sallyport::proxy
