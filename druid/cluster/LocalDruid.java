import java.io.FileInputStream;
import java.io.InputStream;
import java.lang.reflect.Array;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.Paths;
import java.util.Iterator;
import java.util.List;
import java.util.Properties;

/**
 * Runs ZooKeeper and Druid's services in one JVM: half the memory and half the start of a process each.
 *
 * Arguments: the folder of configurations and the names of the services. Each service has a folder there, with
 * runtime.properties and log4j2.xml, and a class loader of its own: this Druid keeps the servlets of a service in a
 * static field, so two services cannot share one. The file classpath names the jars, one a line.
 *
 * Janino, which Druid brings along, compiles this at each start, so that a Java without a compiler is enough. It knows no
 * lambdas and no inference of generics; what concerns configuration alone is done by who writes the folder.
 */
public class LocalDruid {
    public static void main(String[] arguments) throws Exception {
        Path configuration = Paths.get(arguments[0], new String[0]);
        for (int i = 1; i < arguments.length; i++) {
            String service = arguments[i];
            ClassLoader loader = loaderOf(service, configuration);
            Properties properties = new Properties();
            properties.putAll(System.getProperties());
            InputStream file = new FileInputStream(configuration.resolve(service).resolve("runtime.properties").toFile());
            properties.load(file);
            file.close();
            Thread thread = new Thread(new Service(service, configuration, loader, properties), service);
            thread.setContextClassLoader(loader);
            thread.start();
        }
    }

    /** The folder of the service comes before the jars: its log4j2.xml is found there. */
    private static ClassLoader loaderOf(String service, Path configuration) throws Exception {
        List jars = Files.readAllLines(configuration.resolve("classpath"));
        URL[] urls = new URL[jars.size() + 1];
        urls[0] = configuration.resolve(service).toUri().toURL();
        int place = 1;
        for (Iterator each = jars.iterator(); each.hasNext();) {
            urls[place++] = Paths.get((String) each.next(), new String[0]).toUri().toURL();
        }
        return new URLClassLoader(service, urls, ClassLoader.getPlatformClassLoader());
    }

    /** One service until the JVM ends. A service that fails to start ends the JVM: the others wait for it in vain. */
    private static class Service implements Runnable {
        private final String name;
        private final Path configuration;
        private final ClassLoader loader;
        private final Properties properties;

        Service(String name, Path configuration, ClassLoader loader, Properties properties) {
            this.name = name;
            this.configuration = configuration;
            this.loader = loader;
            this.properties = properties;
        }

        public void run() {
            try {
                if (this.name.equals("zookeeper")) {
                    this.runZooKeeper();
                } else {
                    this.runDruid();
                }
            } catch (Throwable error) {
                System.err.println("the service " + this.name + " failed:");
                error.printStackTrace();
                System.exit(1);
            }
        }

        private void runZooKeeper() throws Exception {
            String file = this.configuration.resolve(this.name).resolve("runtime.properties").toString();
            Class server = this.loader.loadClass("org.apache.zookeeper.server.ZooKeeperServerMain");
            server.getMethod("main", new Class[] {String[].class}).invoke(null, new Object[] {new String[] {file}});
        }

        /** What org.apache.druid.cli.Main does for a server, with these properties instead of those of the JVM. */
        private void runDruid() throws Exception {
            Class builderClass = this.loader.loadClass("org.apache.druid.guice.StartupInjectorBuilder");
            Class moduleClass = this.loader.loadClass("com.google.inject.Module");
            Object builder = builderClass.getConstructor(new Class[0]).newInstance(new Object[0]);
            builderClass.getMethod("withProperties", new Class[] {Properties.class})
                    .invoke(builder, new Object[] {this.properties});
            builderClass.getMethod("withExtensions", new Class[0]).invoke(builder, new Object[0]);
            Object modules = Array.newInstance(moduleClass, 1);
            Class runtimeInfo = this.loader.loadClass("org.apache.druid.guice.RuntimeInfoModule");
            Array.set(modules, 0, runtimeInfo.getConstructor(new Class[0]).newInstance(new Object[0]));
            builderClass.getMethod("add", new Class[] {modules.getClass()}).invoke(builder, new Object[] {modules});
            Object injector = builderClass.getMethod("build", new Class[0]).invoke(builder, new Object[0]);
            Class serverClass = this.loader.loadClass(this.properties.getProperty("local.class"));
            Runnable server = (Runnable) serverClass.getConstructor(new Class[0]).newInstance(new Object[0]);
            this.loader.loadClass("com.google.inject.Injector")
                    .getMethod("injectMembers", new Class[] {Object.class})
                    .invoke(injector, new Object[] {server});
            server.run();
        }
    }
}
