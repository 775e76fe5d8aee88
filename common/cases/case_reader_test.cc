#include "common/cases/case_reader.h"

#include <gtest/gtest.h>

#include <string>

namespace sallyport::cases {
namespace {

const std::string kRest =
    R"("request": {"scheme": "http", "dst": "203.0.113.10", "host": "a.com"}, "expect": {"outcome": "egress"}})";

std::string CaseText(const std::string& id, const std::string& fields = "") {
  return R"({"id": ")" + id + "\", " + fields + kRest;
}

// Ids with their places, or the error.
std::string Read(const std::string& text) {
  CaseReader reader("f.json", text);
  std::string ids;
  while (true) {
    const absl::StatusOr<std::optional<Case>> next = reader.Next();
    if (!next.ok()) return std::string(next.status().message());
    if (!next->has_value()) return ids;
    ids += (*next)->id + "@" + std::to_string((*next)->line) + ":" +
           std::to_string((*next)->column) + " ";
  }
}

TEST(CaseReaderTest, ListsAndObjectsOneAfterTheOther) {
  EXPECT_EQ(Read("[\n" + CaseText("A") + ",\n  " + CaseText("B") + "\n]\n"), "A@2:1 B@3:3 ");
  EXPECT_EQ(Read(CaseText("A") + "\n" + CaseText("B") + "\n"), "A@1:1 B@2:1 ");
  EXPECT_EQ(Read("[]"), "");
  EXPECT_EQ(Read(""), "");
}

TEST(CaseReaderTest, BracesInStringsAreText) {
  EXPECT_EQ(Read(CaseText("A}\\\"{") + CaseText("B")), "A}\"{@1:1 B@1:120 ");
}

TEST(CaseReaderTest, ErrorsSayWhere) {
  const struct {
    std::string text;
    const char* message;
  } cases[] = {
      {"[\n" + CaseText("A"), "f.json:2:116: the list of cases has no end"},
      {"[\n" + CaseText("A") + "\n" + CaseText("B") + "]", "f.json:3:1: write a comma"},
      {"[" + CaseText("A") + ",]", "a case is wanted here"},
      {"[" + CaseText("A") + "] x", "text after the list"},
      {"hello", "f.json:1:1: a case is wanted here"},
      {"[\n{\"id\": ", "f.json:2:1: this case has no end"},
      {"[\n{\"id\" \"x\"}]", "f.json:2:9: is not JSON"},
      {CaseText("A") + CaseText("A"), "there is a case \"A\" already"},
      {"\n" + CaseText("A", R"("class": {"allowed_host": []}, )"),
       "f.json:2:23: unknown field \"allowed_host\"; there are allowed_hosts, "},
      {CaseText("A", R"("class": {"allowed_hosts": "a.com"}, )"),
       "\"allowed_hosts\" is not a list"},
      {CaseText("A", R"("class": {"enable_internet": 1}, )"), "neither true nor false"},
      {CaseText("A", R"("steps": [["AllowHosts", "a"]], )"), "there is no call \"AllowHosts\""},
      {CaseText("A", R"("steps": [["AllowHost"]], )"), "AllowHost takes 1 arguments"},
      {CaseText("A", R"("class": {"outbound_by_host": [["a"]]}, )"), "is not [pattern, handler"},
      {R"({"id": "A"})", "has no \"request\""},
      {R"({"id": "A", "request": {"scheme": "ftp", "dst": "1.2.3.4"}})", "none of http, https"},
      {R"({"id": "A", "request": {"scheme": "http", "dst": "1.2.3"}})", "dst is not an address"},
      {R"({"id": "A", "request": {"scheme": "tcp", "dst": "1.2.3.4"}})", "has no port"},
      {R"({"id": "A", "expect": {"outcome": "fine"}})", "there is no outcome \"fine\""},
      {std::string(200, '['), "a case is wanted here"},
      {"{\"id\": " + std::string(200, '['), "nested too deep"},
  };
  for (const auto& c : cases) {
    EXPECT_NE(Read(c.text).find(c.message), std::string::npos)
        << Read(c.text) << " | " << c.message;
  }
}

TEST(CaseReaderTest, HandlersThatAreNamedAreRegisteredButForNope) {
  const auto reader = [](const std::string& fields) {
    return *CaseReader("f", CaseText("A", fields)).Next();
  };
  const auto read = reader(
      R"("class": {"outbound": "a", "outbound_by_host": [["x", "b"], ["y", "nope"]], "outbound_handlers": ["c"]},
         "steps": [["SetOutboundByHosts", [["h", "d"]]], ["SetOutboundHandler", "e", {"k": [1]}], ["AllowHost", "f"]], )");
  ASSERT_TRUE(read.has_value());
  EXPECT_EQ(read->handlers, (absl::flat_hash_set<std::string>{"a", "b", "c", "d", "e"}));
  EXPECT_EQ(read->steps[1]
                .arguments.values(1)
                .struct_value()
                .fields()
                .at("k")
                .list_value()
                .values(0)
                .number_value(),
            1);
}

TEST(CaseReaderTest, ServerNames) {
  const auto request = [](const std::string& fields) {
    return (*CaseReader(
                 "f",
                 R"({"id": "A", "expect": {"outcome": "relay"}, "request": {"scheme": "https", "dst": "1.2.3.4")" +
                     fields + "}}")
                 .Next())
        ->request;
  };
  EXPECT_EQ(request(R"(, "host": "a")").sni, "a");
  EXPECT_EQ(request(R"(, "host": "a", "sni": "b")").sni, "b");
  EXPECT_EQ(request(R"(, "host": "a", "sni": null)").sni, std::nullopt);
  EXPECT_EQ(request("").port, 443);
}

}  // namespace
}  // namespace sallyport::cases
