import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.lang.reflect.Field;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Properties;
import java.util.Timer;
import java.util.TimerTask;
import org.apache.rocketmq.tools.command.MQAdminStartup;

/**
 * Runs mqadmin's verbs one after the other in one process, since starting a JVM takes longer than most verbs. Each
 * line of standard input is a command line, its words between tabs; {@link #DONE} on a line of its own follows what
 * the verb said. A verb that ends the process ends this one, and its user starts another.
 */
public final class Resident {
    private static final String DONE = "\u0004";
    private static final int LOOK_EVERY_MS = 20;

    private Resident() {
    }

    public static void main(String[] args) throws Exception {
        Thread verbs = Thread.currentThread();
        Timer hurry = new Timer("hurry", true);
        hurry.schedule(new TimerTask() {
            @Override
            public void run() {
                hurryEnd(verbs);
            }
        }, 0, LOOK_EVERY_MS);
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            forgetVerbs();
            // A verb's -n is kept there.
            Properties properties = (Properties) System.getProperties().clone();
            try {
                MQAdminStartup.main(line.split("\t", -1));
            } catch (Throwable error) {
                // What would have ended the tool's own process.
                error.printStackTrace();
            }
            System.setProperties(properties);
            System.out.flush();
            System.err.flush();
            // The verb may have ended its output within a line.
            System.out.println(DONE);
            System.out.flush();
        }
        // Some verbs leave threads behind.
        Runtime.getRuntime().halt(0);
    }

    /**
     * At the end of most verbs the tool waits for a thread of its own that looks up every 3 s only. This wakes it, once
     * the verb is at that place.
     */
    private static void hurryEnd(Thread verbs) {
        for (StackTraceElement frame : verbs.getStackTrace()) {
            if (frame.getClassName().endsWith(".ServiceThread") && frame.getMethodName().equals("shutdown")) {
                wakeEventThreads();
                return;
            }
        }
    }

    private static void wakeEventThreads() {
        for (Thread thread : Thread.getAllStackTraces().keySet()) {
            if (thread.getName().startsWith("NettyEventExecutor")) {
                thread.interrupt();
            }
        }
    }

    /** The objects behind the verbs keep their producers and consumers; the tool makes new ones at each start. */
    private static void forgetVerbs() throws IllegalAccessException {
        for (Field field : MQAdminStartup.class.getDeclaredFields()) {
            if (List.class.isAssignableFrom(field.getType())) {
                field.setAccessible(true);
                ((List<?>) field.get(null)).clear();
            }
        }
    }
}
