// Requests that must be refused. The names begin with the row of the catalogue of abuse that they
// belong to.

#include <gtest/gtest.h>

#include "agent/proxy/http/feed.h"

namespace sallyport::proxy {
namespace {

using namespace std::string_literals;

struct AbuseCase {
  std::string name;
  int status;
  std::string bytes;
};

std::string HostIs(const std::string& host) {
  return "GET / HTTP/1.1\r\nHost: " + host + "\r\n\r\n";
}
std::string With(const std::string& lines) {
  return "POST / HTTP/1.1\r\nHost: good.test\r\n" + lines + "\r\n";
}
std::string Line(const std::string& line) { return line + "\r\nHost: good.test\r\n\r\n"; }
std::string Method(const std::string& method) { return Line(method + " / HTTP/1.1"); }
std::string Length(const std::string& value) { return With("Content-Length: " + value + "\r\n"); }
std::string Coding(const std::string& value) {
  return With("Transfer-Encoding: " + value + "\r\n");
}
std::string Headers(int count) {
  std::string lines;
  for (int i = 0; i < count; ++i) lines += "x: y\r\n";
  return lines;
}

const std::vector<AbuseCase>& Cases() {
  static const auto& cases = *new std::vector<AbuseCase>{
      {"HC01_TwoHosts", 400, "GET / HTTP/1.1\r\nHost: good.test\r\nHost: evil.test\r\n\r\n"},
      {"HC02_SameHostTwice", 400, "GET / HTTP/1.1\r\nHost: good.test\r\nhost: good.test\r\n\r\n"},
      {"HC04_NoHost", 400, "GET / HTTP/1.1\r\n\r\n"},
      {"HC04_NoHostAbsolute", 400, "GET http://good.test/ HTTP/1.1\r\n\r\n"},
      {"HC04_NoHostHttp10", 400, "GET / HTTP/1.0\r\n\r\n"},
      {"HC04_EmptyHost", 400, HostIs("")},
      {"HC06_TargetAndHostDiffer", 400,
       "GET http://evil.test/ HTTP/1.1\r\nHost: good.test\r\n\r\n"},
      {"HC06_PortsDiffer", 400, "GET http://good.test:81/ HTTP/1.1\r\nHost: good.test\r\n\r\n"},
      {"HC06_DefaultPortOfOtherScheme", 400,
       "GET https://good.test/ HTTP/1.1\r\nHost: good.test:80\r\n\r\n"},
      {"HC10_UserInfo", 400, HostIs("good.test@evil.test")},
      {"HC10_Fragment", 400, HostIs("good.test#@evil.test")},
      {"HC10_Backslash", 400, HostIs("good.test\\evil.test")},
      {"HC10_Slash", 400, HostIs("good.test/evil")},
      {"HC10_UserInfoInTarget", 400,
       "GET http://good.test@evil.test/ HTTP/1.1\r\nHost: evil.test\r\n\r\n"},
      {"HC10_FragmentInTarget", 400, "GET http://good.test/#x HTTP/1.1\r\nHost: good.test\r\n\r\n"},
      {"HC14_BracketedName", 400, HostIs("[good.test]")},
      {"HC15_PortZero", 400, HostIs("good.test:0")},
      {"HC15_PortTooLarge", 400, HostIs("good.test:65536")},
      {"HC15_PortMinus", 400, HostIs("good.test:-1")},
      {"HC15_PortLeadingZero", 400, HostIs("good.test:007")},
      {"HC15_PortTwice", 400, HostIs("good.test:80:80")},
      {"HC15_PortSpace", 400, HostIs("good.test:8 0")},
      {"HC15_PortPlus", 400, HostIs("good.test:+80")},
      {"HC15_PortName", 400, HostIs("good.test:https")},
      {"HC16_Percent", 400, HostIs("good%2etest")},
      {"HC16_PercentLetter", 400, HostIs("go%6Fd.test")},
      {"HC16_PercentNul", 400, HostIs("good.test%00.evil.test")},
      {"HC17_Nul", 400, HostIs("good.test\0.evil.test"s)},
      {"HC18_VerticalTab", 400, HostIs("good.test\x0b")},
      {"HC18_NoBreakSpace", 400, HostIs("\xa0good.test")},
      {"HC18_NextLine", 400, HostIs("good.test\x85")},
      {"HC18_HighBytes", 400, HostIs("\xffgood.test\xff")},
      {"HC19_Cyrillic", 400,
       HostIs("g\xd0\xbe\xd0\xbe"
              "d.test")},
      {"HC19_FullWidth", 400, HostIs("\xef\xbd\x87ood.test")},
      {"HC22_LongLabel", 400, HostIs(std::string(64, 'a') + ".test")},
      {"HC22_EmptyLabel", 400, HostIs("a..test")},
      {"HC31_NoSlash", 400, Line("GET a HTTP/1.1")},
      {"HC31_At", 400, Line("GET @evil.test HTTP/1.1")},
      {"HC31_Star", 400, Line("GET * HTTP/1.1")},
      {"HC31_StarAndMore", 400, Line("OPTIONS *x HTTP/1.1")},
      {"HC33_Javascript", 400, Line("GET javascript://good.test/ HTTP/1.1")},
      {"HC39_Ftp", 400, Line("GET ftp://good.test/ HTTP/1.1")},
      {"HC39_OneSlash", 400, Line("GET http:/good.test/ HTTP/1.1")},
      {"HC39_NoAuthority", 400, Line("GET http:///good.test/ HTTP/1.1")},

      {"H101_LengthAndCoding", 400, With("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n")},
      {"H101_CodingAndLength", 400, With("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n")},
      {"H103_SameLengthTwice", 400, With("Content-Length: 5\r\nContent-Length: 5\r\n")},
      {"H103_TwoLengths", 400, With("Content-Length: 5\r\ncontent-length: 6\r\n")},
      {"H103_List", 400, Length("5, 5")},
      {"H104_Plus", 400, Length("+5")},
      {"H104_Minus", 400, Length("-5")},
      {"H104_Hex", 400, Length("0x5")},
      {"H104_Underscore", 400, Length("5_0")},
      {"H104_LeadingZero", 400, Length("05")},
      {"H104_TwoZeros", 400, Length("00")},
      {"H104_InnerSpace", 400, Length(" 5 5")},
      {"H104_Letter", 400, Length("5Z")},
      {"H104_Empty", 400, Length("")},
      {"H104_ArabicDigit", 400, Length("\xd9\xa5")},
      {"H104_Exponent", 400, Length("1e3")},
      {"H105_TwoTo64", 400, Length("18446744073709551616")},
      {"H105_TwoTo63", 400, Length("9223372036854775808")},
      {"H105_ManyDigits", 400, Length(std::string(4096, '9'))},
      {"H106_ChunkedTwice", 400, Coding("chunked, chunked")},
      {"H106_TwoHeaders", 400,
       With("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n")},
      {"H108_SpaceBeforeColon", 400, With("Transfer-Encoding : chunked\r\n")},
      {"H108_VerticalTabBefore", 400, With("\x0bTransfer-Encoding: chunked\r\n")},
      {"H108_HighByteAfter", 400, With("Transfer-Encoding\x85: chunked\r\n")},
      {"H108_Underscore", 400, With("Transfer_Encoding: chunked\r\n")},
      {"H108_LengthUnderscore", 400, With("content_length: 5\r\n")},
      {"H108_SpaceBefore", 400, With(" Transfer-Encoding: chunked\r\n")},
      {"H108_Quoted", 400, Coding("\"chunked\"")},
      {"H108_Parameter", 400, Coding("chunked;q=1")},
      {"H108_Empty", 400, Coding("")},
      {"H108_Unknown", 400, Coding("xchunked")},
      {"H109_GzipChunked", 400, Coding("gzip, chunked")},
      {"H109_Gzip", 501, Coding("gzip")},
      {"H109_Identity", 501, Coding("identity")},
      {"H110_CodingInHttp10", 400,
       "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"},
      {"H116_BareLf", 400, "GET / HTTP/1.1\nHost: good.test\n\n"},
      {"H116_BareLfAfterHeader", 400, "GET / HTTP/1.1\r\nHost: good.test\n\r\n"},
      {"H116_BareLfAtEnd", 400, "GET / HTTP/1.1\r\nHost: good.test\r\n\n"},
      {"H116_CrInValue", 400, With("x: a\rb\r\n")},
      {"H116_CrInName", 400, With("x\ry: a\r\n")},
      {"H116_CrCrLf", 400, With("x: a\r\r\n")},
      {"H116_CrAtEnd", 400, "GET / HTTP/1.1\r\nHost: good.test\r\n\rX"},
      {"H117_Fold", 400, With("x: a\r\n b\r\n")},
      {"H117_FoldTab", 400, With("x: a\r\n\tb\r\n")},
      {"H117_FoldFirst", 400, "GET / HTTP/1.1\r\n Host: good.test\r\n\r\n"},
      {"H118_EmptyName", 400, With(": v\r\n")},
      {"H118_OnlyColon", 400, With(":\r\n")},
      {"H118_SpaceInName", 400, With("a b: v\r\n")},
      {"H118_Parenthesis", 400, With("a(: v\r\n")},
      {"H118_At", 400, With("a@: v\r\n")},
      {"H118_Delete", 400, With("a\x7f: v\r\n")},
      {"H118_HighByte", 400, With("a\x80: v\r\n")},
      {"H118_NulInName", 400, With("a\0: v\r\n"s)},
      {"H118_NulInValue", 400, With("a: v\0\r\n"s)},
      {"H118_ControlInValue", 400, With("a: v\x01w\r\n")},
      {"H118_DeleteInValue", 400, With("a: v\x7f\r\n")},
      {"H119_NoColon", 400, With("abc\r\n")},
      {"H119_LengthWithoutColon", 400, With("Content-Length 10\r\n")},
      {"H122_LongHeader", 431, With("x: " + std::string(64 * 1024, 'a') + "\r\n")},
      {"H122_LongHeaderUnfinished", 431,
       With("x: " + std::string(64 * 1024, 'a')).substr(0, 61'500)},
      {"H122_101Headers", 431, With(Headers(100))},
      {"H122_LongLine", 414, Line("GET /" + std::string(8 * 1024 - 13, 'a') + " HTTP/1.1")},
      {"H122_LongLineUnfinished", 414, "GET /" + std::string(9 * 1024, 'a')},
      {"H123_NoToken", 400, Method("G=\":<>")},
      {"H123_LongMethod", 400, Method(std::string(1024, 'A'))},
      {"H123_Trace", 405, Method("TRACE")},
      {"H123_Track", 405, Method("TRACK")},
      {"H123_TraceOtherCase", 405, Method("tRacE")},
      {"H123_Pri", 400, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"},
      {"H124_Minor32", 400, Line("GET / HTTP/1.32")},
      {"H124_Overflow", 400, Line("GET / HTTP/4294967297.1")},
      {"H124_Http2", 505, Line("GET / HTTP/2.0")},
      {"H124_Http12", 505, Line("GET / HTTP/1.2")},
      {"H124_Http09", 505, Line("GET / HTTP/0.9")},
      {"H124_LowerCase", 400, Line("GET / http/1.1")},
      {"H124_Trailing", 400, Line("GET / HTTP/1.1 x")},
      {"H124_TrailingSpace", 400, Line("GET / HTTP/1.1 ")},
      {"H124_None", 400, Line("GET /")},
      {"H124_NoneSpace", 400, Line("GET / ")},
      {"H125_TwoSpaces", 400, Line("GET  / HTTP/1.1")},
      {"H125_TwoSpacesLater", 400, Line("GET /  HTTP/1.1")},
      {"H125_Tab", 400, Line("GET\t/ HTTP/1.1")},
      {"H125_TabLater", 400, Line("GET /\tHTTP/1.1")},
      {"H125_VerticalTab", 400, Line("GET\x0b/ HTTP/1.1")},
      {"H125_LeadingSpace", 400, Line(" GET / HTTP/1.1")},
      {"H125_TwoEmptyLines", 400, Line("\r\n\r\nGET / HTTP/1.1")},
      {"H125_LeadingLf", 400, Line("\nGET / HTTP/1.1")},
      {"H125_LeadingCr", 400, Line("\rGET / HTTP/1.1")},
      {"H125_LfAsSeparator", 400, Line("GET\n/ HTTP/1.1")},
      {"H125_HighByteInTarget", 400, Line("GET /\xc3\xa9 HTTP/1.1")},
      {"H125_ControlInTarget", 400, Line("GET /\x01 HTTP/1.1")},
      {"H125_Fragment", 400, Line("GET /a#b HTTP/1.1")},
      {"H127_OtherExpect", 417, With("Expect: 200-ok\r\nContent-Length: 1\r\n")},
      {"H127_ExpectTwice", 417, With("Expect: 100-continue\r\nExpect: 100-continue\r\n")},
      {"H127_ExpectList", 417, With("Expect: 100-continue, x\r\n")},
      {"H130_ConnectionNoToken", 400, With("Connection: close x\r\n")},
      {"H137_Ssh", 400, "SSH-2.0-OpenSSH_9.2\r\n"},
      {"H137_Tls", 400, "\x16\x03\x01\x02\0\x01"s},
      {"TU02_Connect", 405, "CONNECT good.test:443 HTTP/1.1\r\nHost: good.test\r\n\r\n"},
      {"TU02_ConnectNoPath", 405, "CONNECT  HTTP/1.1\r\n\r\n"},
  };
  return cases;
}

class RequestAbuseTest : public testing::TestWithParam<AbuseCase> {};
INSTANTIATE_TEST_SUITE_P(, RequestAbuseTest, testing::ValuesIn(Cases()),
                         [](const auto& param) { return param.param.name; });

TEST_P(RequestAbuseTest, IsRefused) {
  const Fed<RequestHead> fed = FeedRequest(GetParam().bytes);
  EXPECT_EQ(fed.status, GetParam().status) << fed.detail;
}

}  // namespace
}  // namespace sallyport::proxy
