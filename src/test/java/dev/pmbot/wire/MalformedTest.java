package dev.pmbot.wire;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.protobuf.ByteString;
import com.google.protobuf.CodedOutputStream;
import com.google.protobuf.Descriptors.Descriptor;
import com.google.protobuf.Descriptors.FieldDescriptor;
import com.google.protobuf.WireFormat;
import dev.pmbot.kit.Failures;
import dev.pmbot.kit.Methods;
import dev.pmbot.kit.Methods.Method;
import dev.pmbot.kit.RawCall;
import dev.pmbot.kit.TestServer;
import dev.pmbot.wire.Principal.Role;
import io.grpc.CallOptions;
import io.grpc.Channel;
import io.grpc.Status;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** What comes in, however odd, is refused in our own words, by every method. */
final class MalformedTest {
  private static TestServer server;
  private static Channel channel;

  @BeforeAll
  static void start() {
    server = TestServer.start();
    channel = server.as(Role.OPERATOR).channel();
  }

  @AfterAll
  static void stop() {
    server.close();
  }

  static List<Method> methods() {
    return Methods.of(server);
  }

  private static RawCall.Outcome send(Method method, byte[]... messages) {
    return RawCall.make(channel, method, CallOptions.DEFAULT, List.of(messages));
  }

  private static void assertRefusedInOurWords(RawCall.Outcome outcome, String what) {
    if (!outcome.accepted()) {
      Failures.Refusal refusal = outcome.refusal();
      assertFalse(
          refusal.code() == Status.Code.UNKNOWN || refusal.code() == Status.Code.INTERNAL,
          () -> what + ": " + refusal);
    }
  }

  private static void assertMalformed(RawCall.Outcome outcome, String what) {
    assertFalse(outcome.accepted(), what + " was accepted");
    Failures.Refusal refusal = outcome.refusal();
    assertEquals(Status.Code.INVALID_ARGUMENT, refusal.code(), () -> what + ": " + refusal);
    assertEquals("MALFORMED_MESSAGE", refusal.reason(), () -> what + ": " + refusal);
  }

  /** Bytes that are no protobuf message at all. */
  private static Map<String, byte[]> damaged() {
    Map<String, byte[]> damaged = new HashMap<>();
    damaged.put("a truncated varint", new byte[] {0x08, (byte) 0xff});
    damaged.put("a varint of eleven bytes", filled(0x08, 11, 0xff));
    damaged.put("a text longer than the message", new byte[] {0x0a, 0x7f, 'a'});
    damaged.put("a text of negative length", filled(0x0a, 9, 0xff));
    damaged.put("the tag zero", new byte[] {0});
    damaged.put("a wire type that does not exist", new byte[] {0x0f, 1});
    damaged.put("an end without a group", new byte[] {0x0c});
    damaged.put("a group without an end", new byte[] {0x0b, 0x08, 1});
    damaged.put("groups nested too deep", filled(0x0b, 20_000, 0x0b));
    damaged.put("a truncated fixed64", new byte[] {0x09, 1, 2});
    return damaged;
  }

  private static byte[] filled(int first, int count, int then) {
    byte[] bytes = new byte[1 + count];
    Arrays.fill(bytes, (byte) then);
    bytes[0] = (byte) first;
    return bytes;
  }

  @ParameterizedTest
  @MethodSource("methods")
  void bytesThatAreNoMessage(Method method) {
    damaged().forEach((what, bytes) -> assertMalformed(send(method, bytes), what));
  }

  @ParameterizedTest
  @MethodSource("methods")
  void randomBytes(Method method) {
    Random random = new Random(method.name().hashCode());
    for (int round = 0; round < 25; round++) {
      byte[] bytes = new byte[random.nextInt(60)];
      random.nextBytes(bytes);
      assertRefusedInOurWords(send(method, bytes), "seed " + method.name() + ", round " + round);
    }
  }

  @ParameterizedTest
  @MethodSource("methods")
  void textThatIsNotUtf8InEachField(Method method) throws IOException {
    List<byte[]> messages = new ArrayList<>();
    spoil(method.emptyRequest().getDescriptorForType(), new ArrayList<>(), messages);
    for (byte[] message : messages) {
      assertMalformed(send(method, message), Arrays.toString(message));
    }
    boolean hasText =
        method.emptyRequest().getDescriptorForType().getFields().stream()
            .anyMatch(field -> field.getJavaType() == FieldDescriptor.JavaType.STRING);
    assertTrue(!hasText || !messages.isEmpty(), "nothing was sent");
  }

  /** One message for each text below a type, in which only that text is there and is no UTF-8. */
  private static void spoil(Descriptor type, List<FieldDescriptor> path, List<byte[]> messages)
      throws IOException {
    for (FieldDescriptor field : type.getFields()) {
      List<FieldDescriptor> deeper = new ArrayList<>(path);
      deeper.add(field);
      if (field.getJavaType() == FieldDescriptor.JavaType.STRING) {
        byte[] message = {(byte) 0xc3, 0x28};
        for (int index = deeper.size() - 1; index >= 0; index--) {
          ByteArrayOutputStream bytes = new ByteArrayOutputStream();
          CodedOutputStream out = CodedOutputStream.newInstance(bytes);
          out.writeTag(deeper.get(index).getNumber(), WireFormat.WIRETYPE_LENGTH_DELIMITED);
          out.writeBytesNoTag(ByteString.copyFrom(message));
          out.flush();
          message = bytes.toByteArray();
        }
        messages.add(message);
      } else if (field.getJavaType() == FieldDescriptor.JavaType.MESSAGE) {
        spoil(field.getMessageType(), deeper, messages);
      }
    }
  }

  @ParameterizedTest
  @MethodSource("methods")
  void noMessageAtAll(Method method) {
    RawCall.Outcome outcome = send(method);
    assertFalse(outcome.accepted());
    Failures.Refusal refusal = outcome.refusal();
    assertEquals(Status.Code.INVALID_ARGUMENT, refusal.code(), refusal.toString());
  }

  @ParameterizedTest
  @MethodSource("methods")
  void twoMessagesWhereOneIsTaken(Method method) {
    byte[] empty = {};
    RawCall.Outcome outcome = send(method, empty, empty);
    assertFalse(outcome.accepted());
    Failures.assertHoldsNoInnards(outcome.status().toString());
    if (method.takesOneMessage()) {
      // The transport itself resets a call whose client sends too much.
      assertEquals(Status.Code.CANCELLED, outcome.status().getCode());
    } else {
      assertEquals(Status.Code.INVALID_ARGUMENT, outcome.refusal().code());
    }
  }

  @ParameterizedTest
  @MethodSource("methods")
  void aMessageOverTheLimit(Method method) {
    // Well formed: one long text in a field that nobody knows.
    byte[] large = largeMessage(5 << 20);
    RawCall.Outcome outcome = send(method, large);
    assertFalse(outcome.accepted());
    assertEquals(Status.Code.RESOURCE_EXHAUSTED, outcome.status().getCode());
    Failures.assertHoldsNoInnards(outcome.status().toString());
  }

  @ParameterizedTest
  @MethodSource("methods")
  void aMessageThatUnpacksToMoreThanTheLimit(Method method) {
    RawCall.Outcome outcome =
        RawCall.make(
            channel,
            method,
            CallOptions.DEFAULT.withCompression("gzip"),
            List.of(largeMessage(64 << 20)));
    assertFalse(outcome.accepted());
    assertEquals(
        Status.Code.RESOURCE_EXHAUSTED, outcome.status().getCode(), outcome.status().toString());
    Failures.assertHoldsNoInnards(outcome.status().toString());
  }

  private static byte[] largeMessage(int size) {
    byte[] content = new byte[size];
    try {
      ByteArrayOutputStream bytes = new ByteArrayOutputStream(size + 16);
      CodedOutputStream out = CodedOutputStream.newInstance(bytes);
      out.writeByteArray(1000, content);
      out.flush();
      return bytes.toByteArray();
    } catch (IOException impossible) {
      throw new AssertionError(impossible);
    }
  }

  @ParameterizedTest
  @MethodSource("methods")
  void fieldsThatNobodyKnowsAreNoFault(Method method) {
    RawCall.Outcome plain = send(method, new byte[] {});
    RawCall.Outcome withUnknown = send(method, largeMessage(100));
    assertEquals(plain.status().getCode(), withUnknown.status().getCode());
    assertTrue(plain.accepted() == withUnknown.accepted());
  }
}
