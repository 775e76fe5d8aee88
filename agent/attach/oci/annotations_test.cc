#include "agent/attach/oci/annotations.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace sallyport::agent {
namespace {

using testing::HasSubstr;

std::string ErrorOf(const Annotations& annotations) {
  return std::string(ReadAnnotations(annotations, "0123").status().message());
}

TEST(AnnotationsTest, AClassIsEnough) {
  const AttachAnnotations read =
      ReadAnnotations({{"io.container.manager", "x"}, {"sallyport.class", "agent"}}, "0123")
          .value();
  EXPECT_EQ(read.class_name, "agent");
  EXPECT_EQ(read.container_id, "0123");
  EXPECT_TRUE(read.made_up_id);
  EXPECT_TRUE(read.trust);
}

TEST(AnnotationsTest, AnIdOfOnesOwn) {
  const AttachAnnotations read =
      ReadAnnotations({{"sallyport.class", "agent"}, {"sallyport.id", "web-1"}}, "0123").value();
  EXPECT_EQ(read.container_id, "web-1");
  EXPECT_FALSE(read.made_up_id);
}

TEST(AnnotationsTest, TrustCanBeLeftOut) {
  EXPECT_FALSE(ReadAnnotations({{"sallyport.class", "agent"}, {"sallyport.trust", "none"}}, "0123")
                   .value()
                   .trust);
}

TEST(AnnotationsTest, ANetworkOfItsOwnIsAskedFor) {
  EXPECT_FALSE(ReadAnnotations({{"sallyport.class", "agent"}}, "0123").value().routed);
  EXPECT_TRUE(
      ReadAnnotations({{"sallyport.class", "agent"}, {"sallyport.network", "routed"}}, "0123")
          .value()
          .routed);
  EXPECT_THAT(ErrorOf({{"sallyport.class", "a"}, {"sallyport.network", "bridge"}}),
              HasSubstr("routed"));
}

TEST(AnnotationsTest, ParamsForItsHandlers) {
  const AttachAnnotations read =
      ReadAnnotations(
          {{"sallyport.class", "agent"}, {"sallyport.params", R"({"tenant": "acme", "seats": 3})"}},
          "0123")
          .value();
  EXPECT_EQ(read.params.fields().at("tenant").string_value(), "acme");
  EXPECT_EQ(read.params.fields().at("seats").number_value(), 3);
}

TEST(AnnotationsTest, WhatIsWrongIsSaid) {
  EXPECT_THAT(ErrorOf({}), HasSubstr("sallyport.class"));
  EXPECT_THAT(ErrorOf({{"sallyport.class", ""}}), HasSubstr("missing or empty"));
  EXPECT_THAT(ErrorOf({{"sallyport.class", "a"}, {"sallyport.id", ""}}), HasSubstr("is empty"));
  EXPECT_THAT(ErrorOf({{"sallyport.class", "a"}, {"sallyport.trust", "off"}}), HasSubstr("none"));
  EXPECT_THAT(ErrorOf({{"sallyport.class", "a"}, {"sallyport.clas", "b"}}), HasSubstr("unknown"));
  for (const char* const wrong : {"", "7", "[]", "{\"tenant\": ", "tenant=acme"}) {
    EXPECT_THAT(ErrorOf({{"sallyport.class", "a"}, {"sallyport.params", wrong}}),
                HasSubstr("not a JSON object"))
        << wrong;
  }
}

}  // namespace
}  // namespace sallyport::agent
