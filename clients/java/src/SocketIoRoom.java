import io.socket.client.Ack;
import io.socket.client.IO;
import io.socket.client.Socket;
import io.socket.engineio.client.Transport;
import io.socket.engineio.client.transports.Polling;
import io.socket.engineio.client.transports.WebSocket;
import java.net.URI;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.json.JSONArray;
import org.json.JSONException;
import org.json.JSONObject;

/**
 * Stock Java clients of Socket.IO in one room: one only polls, one uses a WebSocket only, and one moves from the first
 * to the second; two of them on the other hub. All must hear the same events in the same order. Then one leaves,
 * comes back on the other hub with its cursor, and must be given exactly what it missed. Prints a JSON summary; exit
 * code 0 only if that is what happened.
 *
 * <p>java -cp 'target/lib/*' src/SocketIoRoom.java [URL [URL of the other hub]]
 */
public final class SocketIoRoom {
  private static final int EACH = 30;
  private static final int MISSED = 12;

  public static void main(String[] arguments) {
    String url = arguments.length > 0 ? arguments[0] : "ws://127.0.0.1:8000/connection/websocket";
    String other = arguments.length > 1 ? arguments[1] : url;
    boolean ok = false;
    try {
      ok = story(url, other);
    } catch (Exception error) {
      System.err.println("error: " + error);
    }
    System.exit(ok ? 0 : 1); // the client's threads would keep the process
  }

  private static boolean story(String url, String other) throws Exception {
    String room = "java-room:" + Long.toString(System.nanoTime(), 36);
    Ear polling = new Ear("paul", url, Polling.NAME);
    Ear socket = new Ear("wanda", other, WebSocket.NAME);
    Ear moving = new Ear("ursula", other, Polling.NAME, WebSocket.NAME);
    List<Ear> ears = List.of(polling, socket, moving);
    for (Ear ear : ears) {
      ear.join(room, null);
    }
    boolean receipts = true;
    for (int n = 0; n < EACH; n++) {
      for (Ear ear : ears) {
        receipts &= ear.send(room, ear.name + n, n).getBoolean("ok");
      }
    }
    boolean same = true;
    for (Ear ear : ears) {
      ear.until(ears.size() * EACH);
      same &= ear.places().equals(polling.places());
    }
    for (int n = 0; n < polling.heard.size(); n++) {
      same &= polling.heard.get(n).getLong("offset") == n + 1;
    }

    JSONObject last = socket.heard.get(socket.heard.size() - 1);
    socket.socket.disconnect();
    for (int n = 0; n < MISSED; n++) {
      receipts &= polling.send(room, "missed" + n, n).getBoolean("ok");
    }
    Ear back = new Ear("wanda", url, WebSocket.NAME);
    JSONObject cursor = new JSONObject().put("epoch", last.getString("epoch")).put("offset", last.getLong("offset"));
    JSONObject joined = back.join(room, cursor);
    boolean complete = joined.getBoolean("recovered") && back.heard.size() == MISSED;
    for (int n = 0; complete && n < MISSED; n++) {
      complete = back.heard.get(n).getJSONObject("body").getInt("n") == n;
    }
    JSONObject refusal = polling.ask("send", new JSONObject().put("room", room).put("nonsense", true));
    boolean refused = !refusal.getBoolean("ok") && refusal.getJSONObject("error").getInt("code") == 107;
    boolean moved = moving.moved.get(20, TimeUnit.SECONDS);
    boolean ok = receipts && same && complete && refused && moved;
    JSONObject summary = new JSONObject().put("ok", ok).put("receipts", receipts).put("same", same);
    summary.put("complete", complete).put("refused", refused).put("moved", moved);
    System.out.println(summary.put("heard", polling.heard.size()));
    return ok;
  }

  /** A stock client that keeps a room's events. */
  private static final class Ear {
    final String name;
    final Socket socket;
    final List<JSONObject> heard = new ArrayList<>();
    final CompletableFuture<Boolean> moved = new CompletableFuture<>();

    Ear(String name, String url, String... transports) throws Exception {
      this.name = name;
      String token = System.getenv("CONFAB_TOKEN");
      Map<String, String> auth = token == null ? Map.of("user", name) : Map.of("token", token);
      IO.Options options = IO.Options.builder().setTransports(transports).setAuth(auth).setForceNew(true).build();
      socket = IO.socket("http://" + URI.create(url).getAuthority(), options);
      CompletableFuture<Void> connected = new CompletableFuture<>();
      socket.on(Socket.EVENT_CONNECT, ignored -> connected.complete(null));
      socket.on(Socket.EVENT_CONNECT_ERROR, why -> connected.completeExceptionally(new Exception(name + ": " + why[0])));
      socket.on("event", event -> keep((JSONObject) event[0]));
      socket.io().on(io.socket.client.Manager.EVENT_TRANSPORT, carrier -> {
        if (((Transport) carrier[0]).name.equals(WebSocket.NAME)) {
          moved.complete(true);
        }
      });
      socket.connect();
      connected.get(15, TimeUnit.SECONDS);
    }

    /** Emits an event and waits for its acknowledgement. */
    JSONObject ask(String event, JSONObject data) throws Exception {
      CompletableFuture<JSONObject> answer = new CompletableFuture<>();
      socket.emit(event, new Object[] {data}, (Ack) answers -> answer.complete((JSONObject) answers[0]));
      return answer.get(20, TimeUnit.SECONDS);
    }

    JSONObject send(String room, String key, int n) throws Exception {
      JSONObject body = new JSONObject().put("n", n).put("from", name);
      return ask("send", new JSONObject().put("room", room).put("key", key).put("body", body));
    }

    /** Joins a room; what was missed is kept before anything that comes behind the answer. */
    JSONObject join(String room, JSONObject since) throws Exception {
      CompletableFuture<JSONObject> joined = new CompletableFuture<>();
      JSONObject wish = new JSONObject().put("room", room).putOpt("since", since);
      socket.emit("join", new Object[] {wish}, (Ack) answers -> {
        JSONObject answer = (JSONObject) answers[0];
        JSONArray events = answer.optJSONArray("events");
        for (int n = 0; events != null && n < events.length(); n++) {
          keep(events.optJSONObject(n));
        }
        joined.complete(answer);
      });
      JSONObject answer = joined.get(20, TimeUnit.SECONDS);
      if (!answer.getBoolean("ok")) {
        throw new Exception(name + " could not join: " + answer);
      }
      return answer;
    }

    private synchronized void keep(JSONObject event) {
      heard.add(event);
      notifyAll();
    }

    synchronized void until(int count) throws Exception {
      long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(20);
      while (heard.size() < count) {
        long left = TimeUnit.NANOSECONDS.toMillis(deadline - System.nanoTime());
        if (left <= 0) {
          throw new Exception(name + " heard " + heard.size() + " of " + count);
        }
        wait(left);
      }
    }

    synchronized List<String> places() throws JSONException {
      List<String> places = new ArrayList<>();
      for (JSONObject event : heard) {
        places.add(event.getLong("offset") + " " + event.getString("id"));
      }
      return places;
    }
  }
}
