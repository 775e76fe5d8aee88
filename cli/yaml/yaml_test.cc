#include <gtest/gtest.h>

#include "cli/yaml/parse.h"
#include "cli/yaml/print.h"
#include "common/base/strings.h"

namespace sallyport::yaml {
namespace {

std::string Said(const Problems& problems) {
  std::string text;
  for (const Problem& problem : problems) {
    text += StrCat(problem.mark.line, ":", problem.mark.column, " ", problem.what, "\n");
  }
  return text;
}

Node Read(const std::string& text) {
  Problems problems;
  std::optional<Node> node = Parse(text, &problems);
  EXPECT_TRUE(node.has_value() && problems.empty()) << text << Said(problems);
  return node.value_or(Node());
}

std::string ProblemsOf(const std::string& text) {
  Problems problems;
  (void)Parse(text, &problems);
  return Said(problems);
}

TEST(YamlTest, KnowsWhereThingsStand) {
  const Node root = Read("a: 1\nb:\n  - \"x\"\n  - {c: y}\n");
  ASSERT_EQ(root.children.size(), 2u);
  EXPECT_EQ(root.children[1].key, "b");
  EXPECT_EQ(root.children[1].key_mark.line, 2);
  const Node& list = root.children[1];
  EXPECT_EQ(list.children[0].kind, Node::Kind::kText);
  EXPECT_EQ(list.children[0].mark.line, 3);
  EXPECT_EQ(list.children[0].mark.column, 5);
  EXPECT_EQ(list.children[1].children[0].mark.column, 9);
  EXPECT_EQ(root.children[0].kind, Node::Kind::kPlain);
}

TEST(YamlTest, PutsAliasesInPlace) {
  const Node root = Read("a: &x [1, 2]\nb: *x\n");
  EXPECT_EQ(Print(root.children[1]), "- 1\n- 2\n");
  EXPECT_EQ(root.children[1].key, "b");
}

struct ProblemCase {
  std::string name;
  std::string text;
  std::string said;
};

class YamlProblemTest : public testing::TestWithParam<ProblemCase> {};

TEST_P(YamlProblemTest, IsSaid) {
  EXPECT_NE(ProblemsOf(GetParam().text).find(GetParam().said), std::string::npos)
      << ProblemsOf(GetParam().text);
}

std::string Bomb() {
  std::string text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
  for (int i = 1; i < 10; ++i) {
    text += StrCat("a", i, ": &a", i, " [");
    for (int j = 0; j < 10; ++j) text += StrCat(j == 0 ? "" : ", ", "*a", i - 1);
    text += "]\n";
  }
  return text;
}

INSTANTIATE_TEST_SUITE_P(
    All, YamlProblemTest,
    testing::Values(
        ProblemCase{"duplicate", "a: 1\nb: 2\na: 3\n",
                    "3:1 the key `a` is there already, in line 1"},
        ProblemCase{"two_duplicates", "a: {x: 1, x: 2}\na: 3\n", "2:1 the key `a`"},
        ProblemCase{"key_is_a_list", "[a]: 1\n", "1:1 a key must be text"},
        ProblemCase{"tag", "a: !!binary eA==\n", "1:4 the tag tag:yaml.org,2002:binary"},
        ProblemCase{"syntax", "a: [1\nb: 2\n", "2:"},
        ProblemCase{"unknown_alias", "a: *b\n", "1:4"},
        ProblemCase{"alias_inside_itself", "a: &a [*a]\n", "1:8 an alias stands inside itself"},
        ProblemCase{"second_document", "a: 1\n---\nb: 2\n", "a second document"},
        ProblemCase{"not_utf8", "a: \xff\n", "1:4 a byte here is not UTF-8"},
        ProblemCase{"end_of_transmission", "a: 1\n\x04\nb: 2\n",
                    "2:1 there is a control character"},
        ProblemCase{"deep", std::string(200, '['), "is nested more than 100 deep"},
        ProblemCase{"bomb", Bomb(), "more than 2000000 values"}),
    [](const auto& info) { return info.param.name; });

TEST(YamlTest, SaysAllProblemsOfAFile) {
  EXPECT_EQ(ProblemsOf("a: 1\na: 2\nb: 1\nb: 2\n"),
            "2:1 the key `a` is there already, in line 1; write it once\n"
            "4:1 the key `b` is there already, in line 3; write it once\n");
}

TEST(YamlTest, AnEmptyFileIsNull) {
  EXPECT_EQ(Read("").kind, Node::Kind::kNull);
  EXPECT_EQ(Read("# nothing\n").kind, Node::Kind::kNull);
}

class YamlTextTest : public testing::TestWithParam<std::string> {};

TEST_P(YamlTextTest, ReadsBackAsPrinted) {
  for (const Node::Style style : {Node::Style::kBlock, Node::Style::kFlow}) {
    Node list = Node::Sequence(style);
    list.Add(Node::Text(GetParam()));
    Node mapping = Node::Mapping(style);
    mapping.Add(GetParam(), list);
    const Node again = Read(Print(mapping));
    ASSERT_EQ(again.children.size(), 1u) << Print(mapping);
    EXPECT_EQ(again.children[0].key, GetParam());
    EXPECT_EQ(again.children[0].children[0].text, GetParam());
  }
}

INSTANTIATE_TEST_SUITE_P(All, YamlTextTest,
                         testing::Values("github.com", "*.example.com", "true", "No", "null", "~",
                                         "", " ", " a ", "1e3", "10.0.0.0/8", "2001:db8::/32",
                                         "a: b", "a #b", "#", "-", "- a", "? a", "{", "]", "&a",
                                         "*a", "!a", "|", ">", "%", "@", "`", "'", "\"", "\\",
                                         "a\nb", "a\r\nb", "\t", std::string("a\0b", 3), "\x7f",
                                         "\xc2\x85", "\xe2\x80\xa8", "\xef\xbb\xbf", "\xef\xbf\xbf",
                                         "caf\xc3\xa9", "\xf0\x9f\x98\x80", "---", "..."));

TEST(YamlTest, QuotesOnlyWhatNeedsIt) {
  Node list = Node::Sequence();
  for (const char* text : {"github.com", "*.a.com", "true"}) list.Add(Node::Text(text));
  list.children[1].comment = "3 hosts";
  list.Add(Node::Plain("7"));
  EXPECT_EQ(Print(list), "- github.com\n- \"*.a.com\"  # 3 hosts\n- \"true\"\n- 7\n");
}

}  // namespace
}  // namespace sallyport::yaml
